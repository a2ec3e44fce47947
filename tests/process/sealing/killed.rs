//! `open` ended by SIGKILL at any moment: no file has its final name unless it is right, and the next run
//! clears up.

use std::fs;
use std::thread;
use std::time::Instant;

use super::{Stage, tree};

#[test]
fn a_hundred_kills_leave_nothing_under_a_final_name() {
    let stage = Stage::new();
    for number in 0..6 {
        stage.write(&format!("model/part-{number}"), &vec![number; 700_000]);
    }
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    let model = tree(&stage.path("model"));
    let open = "open sealed out -i id/identity.txt --verify-with sign";
    let begin = Instant::now();
    stage.ok(open);
    let whole = begin.elapsed();
    let mut cut = 0;
    for kill in 0..100_u32 {
        if stage.exists("out") {
            fs::remove_dir_all(stage.path("out")).unwrap();
        }
        let mut child = stage.command(open).spawn().unwrap();
        thread::sleep(whole.mul_f64(f64::from(kill) / 100.0));
        child.kill().unwrap();
        child.wait().unwrap();
        cut += u32::from(stage.exists(".partial-out"));
        if stage.exists("out") {
            let mut opened = tree(&stage.path("out"));
            opened.retain(|(name, _)| !name.to_str().unwrap().starts_with("model.sig"));
            assert!(opened == model, "kill {kill}");
        }
    }
    assert!(cut > 10, "only {cut} runs were cut while they wrote");
    if stage.exists("out") {
        fs::remove_dir_all(stage.path("out")).unwrap();
    }
    stage.ok(open);
    assert!(!stage.exists(".partial-out"));
    assert_eq!(tree(&stage.path("out")).len(), model.len() + 2);
}

/// What commands that were ended have left does not stand in the way of the same command.
#[test]
fn what_an_ended_run_left_is_no_part_of_a_model() {
    let stage = Stage::new();
    stage.write("model/.partial-model.sig", b"");
    stage.write("model/.partial-model.sig.mldsa", b"half");
    stage.ok("sign model --key sign/ec.key --pq-key sign/mldsa.key");
    stage.ok("verify model --public-key sign/ec.pub --pq-public-key sign/mldsa.pub");
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    stage.write("sealed/.partial-config.json.age", b"half");
    for command in ["rewrap", "reseal"] {
        stage.ok(&format!(
            "{command} sealed -i id/identity.txt -r id/recipient.txt"
        ));
    }
    assert!(!stage.exists("sealed/.partial-config.json.age"));
    stage.ok("open sealed out -i id/identity.txt --verify-with sign");
}

#[test]
fn a_result_in_or_at_or_above_what_is_opened_is_refused() {
    let stage = Stage::new();
    stage.write("kept/other", b"other");
    stage.ok("seal model kept/sealed -r id/recipient.txt --sign-with sign");
    let before = tree(&stage.path("kept"));
    for to in ["kept/sealed", "kept", "kept/sealed/out", "."] {
        for replace in ["", " --replace"] {
            let line =
                format!("open kept/sealed {to} -i id/identity.txt --verify-with sign{replace}");
            let says = match to {
                "kept/sealed" => "kept/sealed is what is read",
                _ => "lie one in the other",
            };
            stage.refused(&line, 64, says);
        }
    }
    assert!(tree(&stage.path("kept")) == before);
    fs::create_dir(stage.path("nothing")).unwrap();
    stage.refused(
        "open nothing out -i id/identity.txt --unsafe-unsigned",
        1,
        "no file in it",
    );
}
