//! The bytes that a signature signs (RFC 9421 §2.5).

use sfv::{InnerList, ListSerializer};

use super::message::Message;
use super::verdict::Refusal;

/// The signature base of a request for one signature, whose components were checked.
pub(super) fn signature_base(
    message: &Message<'_>,
    components: &[String],
    input: &InnerList,
) -> Result<Vec<u8>, Refusal> {
    let mut base = Vec::with_capacity(1024);
    for name in components {
        let value = message.component(name)?;
        if !value.is_ascii() || value.contains(['\r', '\n']) {
            return Err(Refusal::Malformed);
        }
        for part in ["\"", name, "\": ", &value, "\n"] {
            base.extend_from_slice(part.as_bytes());
        }
    }
    base.extend_from_slice(b"\"@signature-params\": ");
    base.extend_from_slice(parameters(input).as_bytes());
    Ok(base)
}

/// The covered components and parameters, serialised strictly (RFC 9651 §4.1.1.1).
fn parameters(input: &InnerList) -> String {
    let mut list = ListSerializer::new();
    let mut inner = list.inner_list();
    inner.items(&input.items);
    inner.finish().parameters(&input.params);
    list.finish().unwrap_or_default()
}
