//! Passwords and queries of URLs at the edges of the rules.

use super::*;

#[test]
fn the_name_of_an_account_may_have_an_at_sign() {
    // Where a `?` begins a query as well as it goes on with the password, the host is hidden too.
    for (written, shown) in [
        (
            "https://me@corp.com:pa/s3cr3tPW@host",
            "https://(userinfo, not shown)@host",
        ),
        (
            "https://me@corp.com:s3cr3tPW/x@host",
            "https://(userinfo, not shown)@host",
        ),
        (
            "https://me@corp.com:s3cr3tPW?x@host",
            "https://(userinfo, not shown)",
        ),
        (
            "https://me@corp.com:s3cr3tPW#x@host:80",
            "https://(userinfo, not shown)",
        ),
        (
            "https://me@h.example:8443/a@b",
            "https://(userinfo, not shown)@h.example:8443/a@b",
        ),
        (
            "https://me@[::1]/a@b",
            "https://(userinfo, not shown)@[::1]/a@b",
        ),
    ] {
        assert_eq!(Shown::from(written).to_string(), shown);
        let clean = scrub(&format!("`{written}` is no address")).into_owned();
        assert_eq!(clean, format!("`{shown}` is no address"));
        assert_eq!(scrub(&clean), clean);
        assert_eq!(scrub(written), shown);
    }
}

#[test]
fn what_only_looks_hidden_is_hidden() {
    for written in [
        "https://h/?(query, not shown)Hunter2Pw",
        "https://h/?(Hunter2Pw not shown)",
        "https://h/?(query, not shown).Hunter2Pw",
        "https://h/?(query, not shown))))))Hunter2Pw",
        "https://h/#(query, not shown)?k=Hunter2Pw",
    ] {
        for message in [
            Shown::from(written).to_string(),
            scrub(&format!("`{written}` is refused")).into_owned(),
            scrub(written).into_owned(),
        ] {
            assert!(!message.contains("Hunter2Pw"), "{message}");
        }
    }
    let sentence =
        "cannot reach https://h/?(query, not shown): refused (http://h#(query, not shown)).";
    assert_eq!(scrub(sentence), sentence);
}
