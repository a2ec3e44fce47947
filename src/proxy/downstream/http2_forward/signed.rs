//! The signatures of a stream: those of its request, and those of its response.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::Served;
use super::head::framing_of;
use crate::proxy::codec::h2::stream::USUAL_HEAD;
use crate::proxy::codec::headers;
use crate::proxy::codec::message::{Framing, MessageStream};
use crate::proxy::context::Sample;
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::failure_log::NO_HEAD;
use crate::proxy::pace::announces_stream;
use crate::proxy::round_trip::Http2Head;
use crate::proxy::signed::{ENDS_HERE, verify};
use crate::proxy::signed_response::{Client, Signed, sign};
use crate::signature::{Message, Receipt, Refusal, ResponseSigner, Verifier};

impl Served<'_> {
    /// Verifies the signatures and leaves in `parts` what the app is told of them.
    pub(super) fn admit(
        &mut self,
        verifier: &Verifier,
        parts: &mut Parts,
        host: Option<&[u8]>,
        ended: bool,
        websocket: bool,
    ) -> Result<(), Refusal> {
        let mut verdict = verify(
            self.context,
            verifier,
            &message(parts, host, ended, websocket),
        )?;
        for name in ENDS_HERE {
            parts.headers.remove(name);
        }
        verdict.insert_into(&mut parts.headers);
        if let Some(digest) = verdict.body.take() {
            self.client.check_body(digest);
        }
        Ok(())
    }

    /// Remembers the request for the receipt of its response.
    #[cold]
    pub(super) fn remember(
        &mut self,
        signer: &ResponseSigner,
        parts: &Parts,
        host: Option<&[u8]>,
        ended: bool,
    ) {
        let message = message(parts, host, ended, false);
        let receipt = signer.receipt(&message, self.context.identity.group());
        self.receipt = Some(Box::new(receipt));
    }

    /// Forwards a response and signs it. `None`: it was answered instead.
    pub(super) async fn forward_signed<U: MessageStream>(
        &mut self,
        receipt: &Receipt,
        head: Http2Head,
        up: &mut U,
        upload: Upload,
        sample: &mut Sample<'_>,
    ) -> Option<(Result<(), Broken>, Upload)> {
        let client = &mut self.client;
        let of = Client::Http2(client.charge());
        let signing = sign(self.context, receipt, head, client, up, upload, of);
        let Signed {
            response,
            mut body,
            upload,
            ..
        } = match signing.await {
            Ok(signed) => signed,
            Err(broken) => {
                self.reply_to_error(broken.into(), sample);
                return None;
            }
        };
        let size = headers::size(response.headers());
        if size > USUAL_HEAD && !self.client.memory_for_head(size).await {
            self.reply_overloaded(NO_HEAD, sample);
            return None;
        }
        self.head(&response, sample);
        let clock = sample.clock(|| announces_stream(response.headers().get(CONTENT_TYPE)));
        if self.client.start_response(response, body.at_end()).is_err() {
            return None;
        }
        let timeouts = self.context.settings.timeouts();
        let exchange = Exchange::resumed(&mut self.client, &mut body, timeouts, upload);
        let mut exchange = exchange.timing(clock);
        let result = exchange.run().await;
        Some((result, exchange.upload()))
    }
}

fn message<'a>(
    parts: &'a Parts,
    host: Option<&'a [u8]>,
    ended: bool,
    websocket: bool,
) -> Message<'a> {
    let nothing = matches!(framing_of(parts, ended), Framing::None | Framing::Length(0));
    let fields = parts.headers.iter();
    Message {
        method: parts.method.as_str(),
        authority: host,
        target: parts.uri.path_and_query().map_or("/", PathAndQuery::as_str),
        // The bytes of a tunnel are no content (RFC 8441 §5).
        has_body: !websocket && !nothing,
        fields: fields
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect(),
    }
}
