#![allow(clippy::unwrap_used)]
use super::*;

const ONE: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
const TWO: &str = "IAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

fn parse(text: &str) -> Result<KeyFile, String> {
    let parsed = KeyFile::parse(Path::new("tickets"), text.as_bytes());
    parsed.map_err(|error| error.to_string())
}

#[test]
fn a_rotation_adds_then_promotes_then_retires() {
    let mut file = KeyFile::generate().unwrap();
    let first = file.ids(Role::Active).remove(0);
    for _ in 0..3 {
        let former = file.ids(Role::Active);
        let Step::Added(next) = file.rotate().unwrap() else {
            panic!("first a key is added");
        };
        assert_eq!(file.ids(Role::Active), former, "which does not seal yet");
        file = parse(&file.text()).unwrap();
        assert_eq!(file.rotate().unwrap(), Step::Promoted(next.clone()));
        file = parse(&file.text()).unwrap();
        assert_eq!(file.ids(Role::Active), std::slice::from_ref(&next));
        assert_eq!(file.ids(Role::Previous), former);
        assert_eq!(file.rotate().unwrap(), Step::Retired(former));
        file = parse(&file.text()).unwrap();
        assert_eq!(file.keys.len(), 1);
    }
    assert_ne!(file.ids(Role::Active), [first]);
}

#[test]
fn a_file_that_cannot_be_used_is_refused_without_its_text() {
    for (text, problem) in [
        ("# nothing", "tickets holds no active key"),
        (&format!("next {ONE}"), "tickets holds no active key"),
        (ONE, "line 1 is not `active`"),
        (&format!("\n# a\nactive{ONE}"), "line 3 is not `active`"),
        (&format!("sealing {ONE}"), "line 1 is not `active`"),
        ("active", "line 1 is not `active`"),
        ("active abc", "line 1 holds a key that is not the base64"),
        (
            "active AQIDBA==",
            "line 1 holds a key that is not the base64",
        ),
        (&format!("active {ONE}{ONE}"), "that is not the base64"),
        (&format!("active {ONE} {TWO}"), "that is not the base64"),
        (
            &format!("active {}=", "A".repeat(43)),
            "everybody can guess",
        ),
        (&format!("active {ONE}\nactive {TWO}"), "line 2 is a second"),
        (
            &format!("active {ONE}\nnext {ONE}"),
            "line 2 holds the key of",
        ),
    ] {
        let refused = parse(text).unwrap_err();
        assert!(refused.contains(problem), "{text}: {refused}");
        assert!(!refused.contains("AQID"), "{refused}");
    }
    let many: Vec<u8> = (0..17)
        .flat_map(|number: u8| {
            let mut bytes = [number; 32];
            bytes[0] = 200;
            let role = if number == 0 { "active" } else { "next" };
            format!("{role} {}\n", STANDARD.encode(bytes)).into_bytes()
        })
        .collect();
    let refused = KeyFile::parse(Path::new("tickets"), &many).unwrap_err();
    assert!(refused.to_string().contains("more than 16"), "{refused}");
}

#[test]
fn keys_of_every_role_open_and_the_active_one_seals() {
    assert!(parse(&format!("\u{feff}active {ONE}")).is_ok());
    let file = parse(&format!(
        "\u{feff}# a\r\nprevious {ONE}\r\n\nactive\t {TWO} \n"
    ))
    .unwrap();
    let set = file.set().unwrap();
    assert_eq!(set.active.bytes()[0], 32);
    assert_eq!(set.others.len(), 1);
    assert!(!format!("{file:?}{set:?}").contains("AQID"));
}

/// They follow the header, in their order; the header itself is there once.
#[test]
fn comments_of_the_operator_stay() {
    let text = format!("{HEADER}# made for cluster 7\nactive {ONE}\n\n#previous {TWO}\n");
    let mut file = parse(&text).unwrap();
    file.rotate().unwrap();
    let written = file.text();
    let lines: Vec<&str> = written.lines().collect();
    let next = lines.get(4).unwrap();
    assert!(next.starts_with("next "), "{next}");
    let kept = format!("#previous {TWO}");
    let active = format!("active {ONE}");
    assert_eq!(
        lines.get(..4).unwrap(),
        [HEADER.trim_end(), "# made for cluster 7", &kept, &active]
    );
    assert_eq!(*parse(&written).unwrap().text(), **written);
}
