//! Which token a URI means, and the login to it.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;

use super::{Module, lock, said};
use crate::error::refuses_pin;
use crate::{Error, Uri, pin};

/// PINs that were refused and are not tried again; more are more than a token lets anybody try.
const MOST_REFUSED: usize = 64;

impl Module {
    pub(super) fn slot(&self, uri: &Uri) -> Result<Slot, Error> {
        let slots = self.library.get_slots_with_token().map_err(said(uri))?;
        let (mut fitting, mut labels) = (Vec::new(), Vec::new());
        for slot in slots {
            // A token that is taken out meanwhile is none.
            let Ok(token) = self.library.get_token_info(slot) else {
                continue;
            };
            if !token.token_initialized() {
                continue;
            }
            let is = |wanted: &Option<String>, found: &str| {
                wanted
                    .as_deref()
                    .is_none_or(|wanted| wanted == found.trim_end())
            };
            if is(&uri.token, token.label())
                && is(&uri.manufacturer, token.manufacturer_id())
                && is(&uri.model, token.model())
                && is(&uri.serial, token.serial_number())
                && uri.slot.is_none_or(|wanted| wanted == slot.id())
            {
                fitting.push(slot);
            }
            labels.push(format!("`{}`", token.label().trim_end()));
        }
        match fitting.as_slice() {
            [slot] => Ok(*slot),
            [] => Err(Error::NoToken {
                uri: uri.name(),
                found: match labels.as_slice() {
                    [] => "no token at all".to_owned(),
                    labels => labels.join(", "),
                },
            }),
            several => Err(Error::SeveralTokens {
                uri: uri.name(),
                count: several.len(),
            }),
        }
    }

    pub(super) fn login(&self, session: &Session, slot: Slot, uri: &Uri) -> Result<(), Error> {
        let mut refused = lock(&self.refused);
        let state = session
            .get_session_info()
            .map_err(said(uri))?
            .session_state();
        if matches!(state, SessionState::RoUser | SessionState::RwUser) {
            return Ok(());
        }
        let token = self.library.get_token_info(slot).map_err(said(uri))?;
        let name = uri.name();
        let Some(file) = &uri.pin else {
            return if token.login_required() {
                Err(Error::PinMissing { uri: name })
            } else {
                Ok(())
            };
        };
        let pin = pin::read(file)?;
        // Each key of a token that tried the same PIN would take one of the token's tries.
        let tried = (
            format!("{} {}", token.serial_number(), token.label()),
            pin.digest,
        );
        if refused.contains(&tried) {
            return Err(Error::PinRefused { uri: name });
        }
        if token.user_pin_final_try() {
            return Err(Error::PinLastTry { uri: name });
        }
        match session.login(UserType::User, Some(&pin.secret)) {
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) if refuses_pin(&error) => {
                if refused.len() == MOST_REFUSED {
                    refused.remove(0);
                }
                refused.push(tried);
                Err(Error::PinRefused { uri: name })
            }
            Err(error) => Err(said(uri)(error)),
        }
    }
}
