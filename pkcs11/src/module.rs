//! One loaded module: what starts and restarts it, its sessions, and who is logged in.

mod token;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;

use crate::error::cause;
use crate::{Error, SESSIONS, Uri};

/// Between the first two starts of a module that does not work; doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a restart waits for calls that are under way: it must not pull a session away from one.
const PATIENCE: Duration = Duration::from_millis(200);

/// Every module of the process. One is never unloaded: a module may have threads of its own.
static LOADED: Mutex<Vec<Arc<Module>>> = Mutex::new(Vec::new());

/// A module, once in a process: its state is the process's.
pub(crate) struct Module {
    path: String,
    library: Pkcs11,
    /// How often it started. Calls hold it to read, a start to write.
    starts: RwLock<u64>,
    /// By URI: that another key works says nothing about one that is gone.
    paces: Mutex<HashMap<String, Pace>>,
    idle: Mutex<Vec<Bound>>,
    /// PINs that were refused, with the token: held during a login.
    refused: Mutex<Vec<(String, [u8; 32])>>,
}

/// The last start that a key asked for, and how long it has to wait for the next.
struct Pace {
    last: Instant,
    pause: Duration,
}

/// A session with the key it was opened for.
pub(crate) struct Bound {
    uri: String,
    pub(crate) session: Session,
    pub(crate) key: ObjectHandle,
}

/// Calls may be made while this is held.
pub(crate) type Running<'a> = RwLockReadGuard<'a, u64>;

impl Module {
    /// The module of this file, loaded and started.
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>, Error> {
        let name = path.display().to_string();
        let mut loaded = lock(&LOADED);
        if let Some(module) = loaded.iter().find(|module| module.path == name) {
            return Ok(Arc::clone(module));
        }
        // To load a pipe would wait for its writer. A name without a folder is looked for by the loader.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let cause = "it is not a regular file".to_owned();
            return Err(Error::Load { path: name, cause });
        }
        let library = Pkcs11::new(path).map_err(|error| Error::Load {
            path: name.clone(),
            cause: cause(&error),
        })?;
        let module = Self {
            path: name,
            library,
            starts: RwLock::new(0),
            paces: Mutex::default(),
            idle: Mutex::new(Vec::new()),
            refused: Mutex::new(Vec::new()),
        };
        module.initialize()?;
        let module = Arc::new(module);
        loaded.push(Arc::clone(&module));
        Ok(module)
    }

    fn initialize(&self) -> Result<(), Error> {
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match self.library.initialize(threads) {
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            Err(error) => Err(Error::Start {
                path: self.path.clone(),
                cause: cause(&error),
            }),
        }
    }

    /// Until this is dropped the module is not started anew.
    pub(crate) fn running(&self) -> Running<'_> {
        self.starts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the module anew for a key, unless somebody did since `seen`; false if it is too soon, or calls
    /// hang. A start voids the sessions of all keys, and clients can ask for one: each key has a pace.
    pub(crate) fn restart(&self, seen: u64, uri: &Uri) -> Result<bool, Error> {
        let mut paces = lock(&self.paces);
        let begin = Instant::now();
        let mut starts = loop {
            match self.starts.try_write() {
                Ok(starts) => break starts,
                Err(TryLockError::Poisoned(starts)) => break starts.into_inner(),
                Err(TryLockError::WouldBlock) if begin.elapsed() > PATIENCE => return Ok(false),
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(2)),
            }
        };
        if *starts != seen {
            return Ok(true);
        }
        let name = uri.name();
        let pause = match paces.get(&name) {
            Some(pace) if pace.last.elapsed() < pace.pause => return Ok(false),
            Some(pace) => (pace.pause * 2).min(PAUSES.1),
            None => PAUSES.0,
        };
        let last = Instant::now();
        paces.insert(name, Pace { last, pause });
        // Before the end: the next start may give their numbers to other sessions.
        lock(&self.idle).clear();
        // What is broken may not even end; it may start all the same.
        let _ = self.library.clone().finalize();
        *starts += 1;
        self.initialize().map(|()| true)
    }

    /// The key works: its next failure is the first one.
    pub(crate) fn works(&self, uri: &Uri) {
        let mut paces = lock(&self.paces);
        // No name is made while nothing fails.
        if !paces.is_empty() {
            paces.remove(&uri.name());
        }
    }

    /// Nobody uses the key any more.
    pub(crate) fn release(&self, uri: &Uri) {
        self.works(uri);
        let _running = self.running();
        self.forget(uri);
    }

    /// A session for the key, logged in: one of before, or a new one.
    pub(crate) fn session(&self, uri: &Uri, anew: bool) -> Result<Bound, Error> {
        let name = uri.name();
        if !anew {
            let mut idle = lock(&self.idle);
            let found = idle.iter().position(|bound| bound.uri == name);
            if let Some(found) = found {
                return Ok(idle.swap_remove(found));
            }
        }
        let slot = self.slot(uri)?;
        let said = said(uri);
        let session = self.library.open_ro_session(slot).map_err(said)?;
        self.login(&session, slot, uri)?;
        let key = find(&session, uri)?;
        Ok(Bound {
            uri: name,
            session,
            key,
        })
    }

    /// Keeps a session for the next signature.
    pub(crate) fn give_back(&self, bound: Bound) {
        let mut idle = lock(&self.idle);
        let same = idle.iter().filter(|other| other.uri == bound.uri);
        if same.count() < SESSIONS {
            idle.push(bound);
            return;
        }
        drop(idle);
        drop(bound);
    }

    /// What failed is not used again.
    pub(crate) fn forget(&self, uri: &Uri) {
        let name = uri.name();
        let mut idle = lock(&self.idle);
        let (gone, kept) = idle.drain(..).partition(|bound| bound.uri == name);
        *idle = kept;
        drop(idle);
        drop::<Vec<Bound>>(gone);
    }

    pub(crate) fn mechanisms(&self, uri: &Uri) -> Result<Vec<MechanismType>, Error> {
        let slot = self.slot(uri)?;
        self.library.get_mechanism_list(slot).map_err(said(uri))
    }
}

/// The one private key of this name.
fn find(session: &Session, uri: &Uri) -> Result<ObjectHandle, Error> {
    use cryptoki::object::{Attribute, ObjectClass};
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(
        uri.object
            .iter()
            .map(|label| Attribute::Label(label.as_bytes().to_vec())),
    );
    template.extend(uri.id.clone().map(Attribute::Id));
    let found = session.find_objects(&template).map_err(said(uri))?;
    match found.as_slice() {
        [key] => Ok(*key),
        [] => Err(Error::NoKey { uri: uri.name() }),
        several => Err(Error::SeveralKeys {
            uri: uri.name(),
            count: several.len(),
        }),
    }
}

/// What a module says about a key.
pub(crate) fn said(uri: &Uri) -> impl Fn(Pkcs11Error) -> Error + use<> {
    let uri = uri.name();
    move |error| Error::Token {
        uri: uri.clone(),
        cause: cause(&error),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_file_is_loaded() {
        let refused = Module::load(Path::new("/dev/null")).err().unwrap();
        let expected = "it is not a regular file";
        assert!(matches!(refused, Error::Load { cause, .. } if cause == expected));
    }
}
