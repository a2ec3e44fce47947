//! Files that do not answer: a file system has stopped, or a token hangs. They hold up nobody else.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use hybridge::tls::reload::{FileObserver, FileReloader, OtherFiles, Reread, Source, Watched};

use super::unwatched::two_pairs;
use super::*;

const IMPATIENT_TO_THE_END: ReloadSettings = ReloadSettings {
    recheck: Duration::from_millis(50),
    settle: Duration::ZERO,
    patience: Duration::from_millis(300),
    ..WATCH_ONLY
};

/// Holds a lease of a file, so that anyone who opens it waits until this ends, or for 45 s
/// (`/proc/sys/fs/lease-break-time`).
struct Leased(Child);

const LEASE: &str = "import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: None)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()";

impl Leased {
    fn new(file: &Path) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", LEASE]).arg(file);
        python.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = python.spawn().expect("python3");
        let mut line = String::new();
        let said = holder.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(holder)
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_pair_that_does_not_answer_is_a_failure_and_holds_up_no_other() {
    let (pki, dirs, files, stores) = two_pairs();
    let leased = Leased::new(&files[0].cert);
    let (handle, counted) = run(stores.to_vec(), IMPATIENT_TO_THE_END);
    let outcomes = handle.reload_now().await.unwrap();
    let error = failed(outcomes[0].clone());
    assert_eq!(error.reason, "timeout");
    let cert = files[0].cert.display().to_string();
    assert!(error.message.contains(&cert), "{}", error.message);
    assert_eq!(outcomes[1], Outcome::Unchanged);
    let health = stores[0].health(SystemTime::now());
    assert!(matches!(health, Health::Stale(_)), "{health:?}");
    for name in ["second.test", "third.test"] {
        pki.leaf(&[name]).write_to(dirs[1].path());
        until(|| stores[1].current().unwrap().facts().names == [name]).await;
    }
    // Said once, however often it is looked at.
    let counted = counted.all().into_iter();
    let silences = counted.filter(|result| *result == Err("timeout"));
    assert_eq!(silences.count(), 1);
    drop(leased);
    until(|| stores[0].last_error().is_none()).await;
}

/// Hears nothing.
struct Deaf;

impl FileObserver for Deaf {
    fn panicked(&self) {}
    fn reloaded(&self, _: bool) {}
}

/// A file whose reading waits for a word, if it has somebody to wait for; how often it was read.
#[derive(Debug)]
struct Slow {
    word: Mutex<Option<mpsc::Receiver<()>>>,
    reads: Arc<Mutex<usize>>,
}

impl Reread for Slow {
    fn setting(&self) -> &'static str {
        "slow"
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        vec![std::env::temp_dir().join("slow")]
    }

    fn reread(&self) -> Result<bool, String> {
        *self.reads.lock().unwrap() += 1;
        if let Some(word) = self.word.lock().unwrap().take() {
            let _ = word.recv();
        }
        Ok(false)
    }

    fn in_use(&self) -> Vec<String> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

fn slow(word: Option<mpsc::Receiver<()>>) -> (Arc<OtherFiles>, Arc<Mutex<usize>>) {
    let reads = Arc::new(Mutex::new(0));
    let (word, counted) = (Mutex::new(word), Arc::clone(&reads));
    let file = OtherFiles::new(Slow {
        word,
        reads: counted,
    });
    (Arc::new(file), reads)
}

#[tokio::test]
async fn a_file_that_does_not_answer_is_a_failure_and_holds_up_no_other() {
    let (say, word) = mpsc::channel();
    let ((hangs, reads), (beside, reads_beside)) = (slow(Some(word)), slow(None));
    let both =
        || [&hangs, &beside].map(|file| Watched::of_process(Source::Other(Arc::clone(file))));
    let reloader = || FileReloader::new(both().to_vec(), IMPATIENT_TO_THE_END, Arc::new(Deaf)).0;
    let first = tokio::spawn(reloader().run());
    until(|| hangs.last_error().is_some()).await;
    let error = hangs.last_error().unwrap();
    assert!(error.starts_with("slow: "), "{error}");
    assert!(error.contains("could not be read within"), "{error}");
    let so_far = *reads_beside.lock().unwrap();
    until(|| *reads_beside.lock().unwrap() > so_far + 5).await;
    // Neither now nor after a change of the configuration is a second thread given to it.
    first.abort();
    let second = tokio::spawn(reloader().run());
    let so_far = *reads_beside.lock().unwrap();
    until(|| *reads_beside.lock().unwrap() > so_far + 5).await;
    assert_eq!(*reads.lock().unwrap(), 1);
    say.send(()).unwrap();
    until(|| hangs.last_error().is_none()).await;
    assert!(*reads.lock().unwrap() > 1);
    second.abort();
}
