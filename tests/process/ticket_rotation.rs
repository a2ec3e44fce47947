//! Two replicas share their ticket keys, and the keys are rotated while clients come back to either.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use openssl::ssl::SslSession;
use tokio::task::JoinHandle;

use super::ticket_keys::ticket_keys;
use crate::support::openssl::Client;
use crate::support::process::Process;
use crate::support::{Setup, answering, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const CLIENTS: usize = 4;
/// Resumptions between two steps, of all clients together.
const BETWEEN: usize = 60;

/// Clients that come back with their newest ticket, to the two replicas in turn.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    returned: AtomicUsize,
    resumed: AtomicUsize,
}

impl Load {
    fn start(self: &Arc<Self>, replicas: [SocketAddr; 2]) -> Vec<JoinHandle<()>> {
        let one = |number| tokio::spawn(Arc::clone(self).client(number, replicas));
        (0..CLIENTS).map(one).collect()
    }

    async fn client(self: Arc<Self>, number: usize, replicas: [SocketAddr; 2]) {
        let mut session: Option<SslSession> = None;
        let mut turn = number;
        while !self.over.load(Ordering::SeqCst) {
            let mut client = Client::new();
            if let Some(session) = &session {
                client = client.resuming(session);
            }
            let connected = client.connect(replicas[turn % 2]).await.unwrap();
            if session.is_some() {
                self.returned.fetch_add(1, Ordering::SeqCst);
                let resumed = usize::from(connected.is_resumed());
                self.resumed.fetch_add(resumed, Ordering::SeqCst);
            }
            session = connected.finish(b"").await.sessions.pop();
            turn += 1;
        }
    }

    async fn goes_on(&self) {
        let goal = self.returned.load(Ordering::SeqCst) + BETWEEN;
        eventually("clients to come back", async || {
            self.returned.load(Ordering::SeqCst) >= goal
        })
        .await;
    }
}

/// Good for one resumption: OpenSSL offers no session twice.
async fn session(replica: &Process) -> SslSession {
    let connected = Client::new().connect(replica.address).await.unwrap();
    connected.finish(b"").await.sessions.remove(0)
}

async fn keys_of(replica: &Process) -> (String, usize) {
    let (_, page) = replica.admin("/status").await;
    let status: serde_json::Value = serde_json::from_str(&page).unwrap();
    let keys = &status["listeners"][0]["ticket_keys"];
    let opening = keys["opening"].as_array().unwrap().len();
    (keys["active"].as_str().unwrap().to_owned(), opening)
}

async fn rotate(file: &Path, replicas: [&Process; 2], opening: usize) {
    let before = keys_of(replicas[0]).await;
    assert!(
        ticket_keys(&["rotate", file.to_str().unwrap()])
            .status
            .success()
    );
    eventually("both replicas to have read the file", async || {
        let (first, second) = (keys_of(replicas[0]).await, keys_of(replicas[1]).await);
        first == second && first != before && first.1 == opening
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_a_rotation_on_two_replicas_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets");
    ticket_keys(&["new", file.to_str().unwrap()]);
    let setup = Setup::in_front_of(answering(ANSWER).await);
    let setup = setup.tls(&format!("ticket-keys = \"{}\"", file.display()));
    let (first, second) = (Process::start(&setup).await, Process::start(&setup).await);
    let replicas = [&first, &second];
    let (old, older) = (session(&first).await, session(&first).await);
    let (active, _) = keys_of(&first).await;

    let load = Arc::new(Load::default());
    let clients = load.start([first.address, second.address]);
    load.goes_on().await;
    rotate(&file, replicas, 1).await;
    load.goes_on().await;
    assert_eq!(keys_of(&second).await.0, active, "added, and does not seal");
    rotate(&file, replicas, 1).await;
    assert_ne!(keys_of(&second).await.0, active, "promoted");
    load.goes_on().await;
    let again = Client::new().resuming(&old).connect(second.address).await;
    assert!(again.unwrap().is_resumed(), "the key before still opens");
    rotate(&file, replicas, 0).await;
    load.goes_on().await;
    load.over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let (returned, resumed) = (
        load.returned.load(Ordering::SeqCst),
        load.resumed.load(Ordering::SeqCst),
    );
    println!("{resumed} of {returned} returning clients resumed");
    assert!(resumed * 100 > returned * 99, "{resumed} of {returned}");
    let again = Client::new().resuming(&older);
    let again = again.connect(second.address).await;
    assert!(!again.unwrap().is_resumed(), "retired");
}
