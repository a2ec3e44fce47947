//! The reloader, asked and ended, and what connections get.

use super::*;

#[test]
fn without_a_first_pair_there_is_no_store() {
    let dir = TempDir::new().unwrap();
    let error = CredentialStore::load(&dir.path().join("tls.crt"), &dir.path().join("tls.key"));
    assert!(matches!(error, Err(CredentialError::Missing { .. })));
}

#[tokio::test]
async fn a_reloader_that_has_ended_says_so() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let dir = TempDir::new().unwrap();
    let files = pki.leaf(&["first.test"]).write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let counted = Arc::new(Counted::default());
    let (reloader, handle) = Reloader::new(vec![store], WATCH_ONLY, counted);
    let task = tokio::spawn(reloader.run());
    let last = handle.clone();
    drop(handle);
    assert_eq!(last.reload_now().await.unwrap(), [Outcome::Unchanged]);
    task.abort();
    let stopped = last.reload_now().await.unwrap_err();
    assert_eq!(stopped.to_string(), "the certificate reloader has stopped");
}

#[tokio::test]
async fn the_reloader_ends_with_its_last_handle() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let dir = TempDir::new().unwrap();
    let files = pki.leaf(&["first.test"]).write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let (reloader, handle) = Reloader::new(vec![store], WATCH_ONLY, Arc::new(Counted::default()));
    let task = tokio::spawn(reloader.run());
    drop(handle);
    timeout(DEADLINE, task).await.expect("it ends").unwrap();
}

/// A connection between a rustls client and a server that asks the store for its certificate.
struct Connection {
    client: ClientConnection,
    server: ServerConnection,
}

impl Connection {
    fn open(running: &Running, name: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(running.pki.ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls_post_quantum::provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&running.store) as _);
        let name = ServerName::try_from(name).unwrap();
        let mut connection = Self {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
        };
        while connection.client.is_handshaking() || connection.server.is_handshaking() {
            connection.carry();
        }
        connection
    }

    fn carry(&mut self) {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        self.client.write_tls(&mut up).unwrap();
        self.server.read_tls(&mut up.as_slice()).unwrap();
        self.server.process_new_packets().unwrap();
        self.server.write_tls(&mut down).unwrap();
        self.client.read_tls(&mut down.as_slice()).unwrap();
        self.client.process_new_packets().unwrap();
    }

    fn echo(&mut self, text: &str) -> String {
        use io::{Read, Write};
        self.server.writer().write_all(text.as_bytes()).unwrap();
        self.carry();
        let mut buffer = vec![0; 64];
        let read = self.client.reader().read(&mut buffer).unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    }
}

#[tokio::test]
async fn new_connections_get_the_new_pair_and_live_ones_stay() {
    let running = Running::start(IMPATIENT).await;
    let mut live = Connection::open(&running, "first.test");
    let before = live.client.peer_certificates().unwrap().to_vec();
    running.replace(&running.pki.leaf(&["second.test"]));
    running.serves("CN=second.test").await;
    let fresh = Connection::open(&running, "second.test");
    assert_ne!(fresh.client.peer_certificates().unwrap(), before);
    assert_eq!(live.echo("still here"), "still here");
}

#[tokio::test]
async fn a_failure_of_the_other_file_is_another_failure() {
    let running = Running::start(IMPATIENT).await;
    let cert = fs::read_to_string(&running.files.cert).unwrap();
    fs::remove_file(&running.files.cert).unwrap();
    let names = |file: &Path| {
        let error = running.store.last_error();
        error.is_some_and(|error| error.message.contains(file.to_str().unwrap()))
    };
    until(|| names(&running.files.cert)).await;
    fs::remove_file(&running.files.key).unwrap();
    replace(&running.files.cert, &cert);
    until(|| names(&running.files.key)).await;
    assert_eq!(running.counted.all(), [Err("missing"), Err("missing")]);
}
