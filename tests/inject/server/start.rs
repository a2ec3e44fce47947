//! Starts that fail.

use super::*;

#[test]
fn a_missing_certificate_and_a_taken_port_are_start_errors_that_name_the_thing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let missing = Serve::try_parse_from([
        "serve",
        "--cert",
        "/nonexistent/tls.crt",
        "--key",
        "/nonexistent/tls.key",
    ])
    .unwrap()
    .args;
    let error = runtime.block_on(Server::bind(&missing)).err().unwrap();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.to_string().contains("/nonexistent/tls.crt"),
        "{error}"
    );
    let server = Running::start();
    let taken = ServeArgs {
        listen: server.webhook,
        cert: server.dir.path().join("tls.crt"),
        key: server.dir.path().join("tls.key"),
        ..missing
    };
    let error = runtime.block_on(Server::bind(&taken)).err().unwrap();
    assert!(
        error.to_string().contains(&server.webhook.to_string()),
        "{error}"
    );
}
