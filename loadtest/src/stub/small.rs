//! The small response.

/// A completion of one word.
pub(super) const SMALL: &str = "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"model\":\"stub\",\
                     \"choices\":[{\"index\":0,\"text\":\"hello\",\"finish_reason\":\"stop\"}]}";
