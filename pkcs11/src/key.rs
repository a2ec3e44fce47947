//! A private key in a token: opened once, found again as often as it takes.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;

use cryptoki::object::{Attribute, AttributeType};

use crate::error::may_pass;
use crate::mechanism::{Kind, Way};
use crate::module::{Bound, Module, lock, said};
use crate::{Error, Uri};

/// A private key in a token.
pub struct Key {
    uri: Uri,
    kind: Kind,
    module: Arc<Module>,
    /// What the token can do, the best first; at least one.
    ways: Vec<Way>,
    /// Why the last signature failed.
    failure: Mutex<Option<Error>>,
}

impl Key {
    /// Finds the key, logs in, and asks what the token can do with it. Blocks.
    pub fn open(uri: &Uri, kind: Kind) -> Result<Arc<Self>, Error> {
        let module = Module::load(&uri.module)?;
        let mut key = Self {
            uri: uri.clone(),
            kind,
            module,
            ways: Vec::new(),
            failure: Mutex::new(None),
        };
        key.ways = key.with_recovery(&Self::probe)?;
        Ok(Arc::new(key))
    }

    pub(crate) fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// Its kind, as the certificate says.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How often its module was started anew, for whichever of its keys.
    pub fn restarts(&self) -> u64 {
        *self.module.running()
    }

    /// Why the last signature failed, if it did.
    pub fn failure(&self) -> Option<Error> {
        lock(&self.failure).clone()
    }

    /// Makes a signature of nothing, if the last one failed: the token may be back. Blocks.
    pub fn try_again(&self) -> Result<(), Error> {
        match (self.failure(), self.ways.first()) {
            (Some(_), Some(way)) => self.sign(*way, b"hybridge: is the token back?").map(drop),
            _ => Ok(()),
        }
    }

    /// A signature as TLS sends it. Blocks.
    pub(crate) fn sign(&self, way: Way, message: &[u8]) -> Result<Vec<u8>, Error> {
        let input = way.input(message);
        let signed = self.with_recovery(&|key: &Self, bound: &Bound| {
            let signed = bound.session.sign(&way.mechanism(), bound.key, &input);
            let signed = signed.map_err(said(&key.uri))?;
            way.output(signed).ok_or_else(|| key.of_another_kind())
        });
        *lock(&self.failure) = signed.as_ref().err().cloned();
        signed
    }

    fn probe(&self, bound: &Bound) -> Result<Vec<Way>, Error> {
        let wanted = [AttributeType::KeyType];
        let found = bound.session.get_attributes(bound.key, &wanted);
        let found = found.map_err(said(&self.uri))?;
        for attribute in found {
            if let Attribute::KeyType(found) = attribute
                && found != self.kind.key_type()
            {
                return Err(self.of_another_kind());
            }
        }
        let has = self.module.mechanisms(&self.uri)?;
        let schemes = self.kind.schemes().iter();
        let ways: Vec<_> = schemes
            .filter_map(|scheme| Way::of(*scheme, &has))
            .collect();
        if ways.is_empty() {
            return Err(Error::NoMechanism {
                uri: self.uri.name(),
                kind: self.kind.name(),
                mechanism: self.kind.needs(),
            });
        }
        Ok(ways)
    }

    fn of_another_kind(&self) -> Error {
        Error::WrongKind {
            uri: self.uri.name(),
            wanted: self.kind.name(),
        }
    }

    /// With a session of before; if that fails with a new one; if that fails with the module started anew.
    fn with_recovery<T>(
        &self,
        work: &dyn Fn(&Self, &Bound) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let starts = match self.attempt(work, false) {
            Ok(done) => return Ok(done),
            Err((error, _)) if !may_pass(&error) => return Err(error),
            Err(_) => match self.attempt(work, true) {
                Ok(done) => return Ok(done),
                Err((error, _)) if !may_pass(&error) => return Err(error),
                Err((error, starts)) => (error, starts),
            },
        };
        let (error, starts) = starts;
        if !self.module.restart(starts, &self.uri)? {
            return Err(error);
        }
        self.attempt(work, true).map_err(|(error, _)| error)
    }

    /// One try; with its failure how often the module had been started.
    fn attempt<T>(
        &self,
        work: &dyn Fn(&Self, &Bound) -> Result<T, Error>,
        anew: bool,
    ) -> Result<T, (Error, u64)> {
        let running = self.module.running();
        let starts = *running;
        if anew {
            self.module.forget(&self.uri);
        }
        let bound = self.module.session(&self.uri, anew);
        let bound = bound.map_err(|error| (error, starts))?;
        match work(self, &bound) {
            Ok(done) => {
                self.module.give_back(bound);
                drop(running);
                self.module.works(&self.uri);
                Ok(done)
            }
            // The session goes while the module cannot be started anew.
            Err(error) => {
                drop(bound);
                drop(running);
                Err((error, starts))
            }
        }
    }
}

/// Its sessions end, on a thread of their own: a token may take its time for that.
impl Drop for Key {
    fn drop(&mut self) {
        let (module, uri) = (Arc::clone(&self.module), self.uri.clone());
        // Without a thread they stay until the module starts anew.
        let _ = thread::Builder::new().spawn(move || module.release(&uri));
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("uri", &self.uri.name())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
