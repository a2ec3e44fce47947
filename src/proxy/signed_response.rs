//! Where the signatures of a response go: into its head if it is short, else behind its body.

use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::{CONTENT_LENGTH, HeaderMap};

use crate::proxy::codec::event_comment::takes_comment;
use crate::proxy::codec::h2::unsent::Charge;
use crate::proxy::codec::headers;
use crate::proxy::codec::message::{Frame, Framing, MessageStream};
use crate::proxy::codec::signing::Signing;
use crate::proxy::context::Context;
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::round_trip::Http2Head;
use crate::signature::{ContentDigest, Receipt};

/// Bytes of a body that is read before its head goes out.
const SHORT: u64 = 64 * 1024;

/// Who gets a signed response.
pub(crate) enum Client {
    /// Has one response at a time, which is part of what its connection costs.
    Http1 {
        /// It takes trailers: it said so (RFC 9110 §10.1.4), and has chunks. Two signatures are longer than what curl
        /// and Go read of a trailer, and they break off.
        trailers: bool,
    },
    /// What is held for it counts among what it has not taken.
    Http2(Charge),
}

/// A response that is signed.
pub(crate) struct Signed<'a, U> {
    /// Its head, with the signatures or with the announcement of them.
    pub(crate) response: Response<()>,
    /// How its body ends.
    pub(crate) framing: Framing,
    /// Its body.
    pub(crate) body: Signing<'a, U>,
    /// How far the request got.
    pub(crate) upload: Upload,
}

/// Signs what the upstream answers. A short body is read first if there is room for it.
pub(crate) async fn sign<'a, D: MessageStream, U: MessageStream>(
    context: &Context,
    receipt: &Receipt,
    head: Http2Head,
    down: &mut D,
    up: &'a mut U,
    upload: Upload,
    client: Client,
) -> Result<Signed<'a, U>, Broken> {
    let (has_trailers, mut charge) = match client {
        Client::Http1 { trailers } => (trailers, None),
        Client::Http2(charge) => (true, Some(charge)),
    };
    let Http2Head {
        mut response,
        framing,
        ..
    } = head;
    let status = response.status().as_u16();
    let draft = receipt.begin(status, response.headers_mut());
    let (place, framing, body, upload) = match framing {
        Framing::None => {
            put(response.headers_mut(), draft.sign(None, false));
            (
                "header",
                framing,
                Signing::whole(up, Bytes::new(), None, None),
                upload,
            )
        }
        Framing::Length(length) if length <= SHORT && has_room(&mut charge, length, &response) => {
            let timeouts = context.settings.timeouts();
            let mut exchange = Exchange::resumed(down, &mut *up, timeouts, upload);
            let (body, mut trailers) = whole(&mut exchange, length).await?;
            if let Some(trailers) = &mut trailers {
                Receipt::strip(trailers);
            }
            let upload = exchange.upload();
            let mut digest = ContentDigest::new();
            digest.update(&body);
            put(response.headers_mut(), draft.sign(Some(digest), false));
            (
                "header",
                framing,
                Signing::whole(up, body, trailers, charge),
                upload,
            )
        }
        _ if receipt.sse_comment && takes_comment(response.headers()) => {
            response.headers_mut().remove(CONTENT_LENGTH);
            let body = Signing::events(up, draft);
            ("comment", Framing::Chunked, body, upload)
        }
        _ if has_trailers => {
            response.headers_mut().remove(CONTENT_LENGTH);
            Receipt::announce_trailers(response.headers_mut());
            let body = Signing::passing(up, draft);
            ("trailer", Framing::Chunked, body, upload)
        }
        _ => {
            // Nothing can follow its body, which is not kept to be read first.
            let body = Signing::unsigned(up);
            ("none", framing, body, upload)
        }
    };
    context.metrics.response_signed(place);
    Ok(Signed {
        response,
        framing,
        body,
        upload,
    })
}

/// Whether a body of that length, and the head meanwhile, may be held.
fn has_room(charge: &mut Option<Charge>, length: u64, response: &Response<()>) -> bool {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes = headers::size(response.headers()).saturating_add(length);
    charge.as_mut().is_none_or(|charge| charge.reserve(bytes))
}

/// The body, while the request goes on.
async fn whole<D: MessageStream, U: MessageStream>(
    exchange: &mut Exchange<'_, D, U>,
    length: u64,
) -> Result<(Bytes, Option<HeaderMap>), Broken> {
    let mut body = BytesMut::with_capacity(length.min(SHORT) as usize);
    loop {
        let frame = exchange.upload_until(|_, up, cx| up.poll_frame(cx)).await?;
        match frame.map_err(Broken::Upstream)? {
            Some(Frame::Data(piece)) => body.extend_from_slice(&piece),
            Some(Frame::Trailers(trailers)) => return Ok((body.freeze(), Some(trailers))),
            None => return Ok((body.freeze(), None)),
        }
    }
}

fn put(fields: &mut HeaderMap, signatures: HeaderMap) {
    for (name, value) in signatures {
        if let Some(name) = name {
            fields.insert(name, value);
        }
    }
}
