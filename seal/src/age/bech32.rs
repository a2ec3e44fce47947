//! Bech32 (BIP 173) without its limit of length, in which age writes recipients and identities.

use zeroize::Zeroizing;

const CHARACTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATORS: [u32; 5] = [
    0x3b6a_57b2,
    0x2650_8e6d,
    0x1ea1_19fa,
    0x3d42_33dd,
    0x2a14_62b3,
];
const CHECKSUM: usize = 6;

/// `data` under the prefix, in lower case.
pub fn encode(prefix: &str, data: &[u8]) -> String {
    let mut values = to_groups(data);
    let expanded = expand(prefix);
    let mut checked = Vec::with_capacity(expanded.len() + values.len() + CHECKSUM);
    checked.extend_from_slice(&expanded);
    checked.extend_from_slice(&values);
    checked.extend_from_slice(&[0; CHECKSUM]);
    let sum = polymod(&checked) ^ 1;
    values.extend((0..CHECKSUM).map(|i| (sum >> (5 * (CHECKSUM - 1 - i))) as u8 & 31));
    let mut text = String::with_capacity(prefix.len() + 1 + values.len());
    text.push_str(prefix);
    text.push('1');
    let characters = values
        .iter()
        .filter_map(|v| CHARACTERS.get(usize::from(*v)));
    text.extend(characters.map(|c| char::from(*c)));
    checked.fill(0);
    values.fill(0);
    text
}

/// The data of a text with this prefix, which is compared in lower case. `None`: not that.
pub fn decode(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let has = |class: fn(char) -> bool| text.contains(class);
    if has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_uppercase()) {
        return None;
    }
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let data = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let value = |byte: u8| CHARACTERS.iter().position(|c| *c == byte);
    // Of their full length at once: a vector that grows leaves copies behind.
    let mut values = Zeroizing::new(Vec::with_capacity(data.len()));
    for byte in data.bytes() {
        values.push(value(byte)? as u8);
    }
    let expanded = expand(prefix);
    let mut checked = Zeroizing::new(Vec::with_capacity(expanded.len() + values.len()));
    checked.extend_from_slice(&expanded);
    checked.extend_from_slice(&values);
    if polymod(&checked) != 1 {
        return None;
    }
    from_groups(values.get(..values.len().checked_sub(CHECKSUM)?)?)
}

fn expand(prefix: &str) -> Vec<u8> {
    let high = prefix.bytes().map(|b| b >> 5);
    let low = prefix.bytes().map(|b| b & 31);
    high.chain([0]).chain(low).collect()
}

fn polymod(values: &[u8]) -> u32 {
    values.iter().fold(1, |sum, value| {
        let top = sum >> 25;
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(*value);
        let used = GENERATORS.iter().enumerate();
        used.filter(|(i, _)| (top >> i) & 1 == 1)
            .fold(shifted, |sum, (_, generator)| sum ^ generator)
    })
}

fn to_groups(data: &[u8]) -> Vec<u8> {
    // With room for the checksum.
    let mut groups = Vec::with_capacity(data.len() * 8 / 5 + 1 + CHECKSUM);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in data {
        held = (held << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            groups.push((held >> bits) as u8 & 31);
        }
    }
    if bits > 0 {
        groups.push((held << (5 - bits)) as u8 & 31);
    }
    groups
}

/// Padding is less than a group and zero.
fn from_groups(groups: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut data = Zeroizing::new(Vec::with_capacity(groups.len() * 5 / 8));
    let (mut held, mut bits) = (0_u32, 0);
    for group in groups {
        held = (held << 5 | u32::from(*group)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            data.push((held >> bits) as u8);
        }
    }
    (bits < 5 && held & ((1 << bits) - 1) == 0).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_back_whatever_its_length() {
        for length in [0, 1, 2, 3, 4, 5, 32, 1216] {
            let data: Vec<u8> = (0..length).map(|i| (i * 7 + 3) as u8).collect();
            let text = encode("age1pq", &data);
            assert_eq!(decode("age1pq", &text).unwrap().as_slice(), data);
            assert!(decode("age1pq", &text.to_uppercase()).is_some());
            assert!(decode("age", &text).is_none());
        }
    }

    #[test]
    fn one_wrong_character_is_found() {
        let text = encode("age1pq", &[7; 32]);
        for at in "age1pq1".len()..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            assert!(decode("age1pq", std::str::from_utf8(&wrong).unwrap()).is_none());
        }
        let mixed = text.replacen('q', "Q", 2);
        assert!(decode("age1pq", &mixed).is_none());
    }

    /// BIP 173.
    #[test]
    fn a_published_vector_holds() {
        let text = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw";
        let expected: Vec<u8> = vec![
            0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf, 0x84, 0x65, 0x3a, 0x56,
            0xd7, 0xc6, 0x75, 0xbe, 0x77, 0xdf,
        ];
        assert_eq!(decode("abcdef", text).unwrap().as_slice(), expected);
        assert_eq!(encode("abcdef", &expected), text);
    }
}
