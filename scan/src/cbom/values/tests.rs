use super::uncompressed;

#[test]
fn an_address_in_brackets_has_all_its_groups() {
    assert_eq!(
        uncompressed("https://[::1]:8443"),
        "https://[0:0:0:0:0:0:0:1]:8443"
    );
    for url in [
        "https://127.0.0.1:1",
        "https://a.example",
        "https://[x]:1",
        "https://[",
    ] {
        assert_eq!(uncompressed(url), url);
    }
}
