//! Both signatures have to hold, over exactly the files that are there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::Stage;

const SIGN: &str = "sign model --key sign/ec.key --pq-key sign/mldsa.key";
const VERIFY: &str = "verify model --public-key sign/ec.pub --pq-public-key sign/mldsa.pub";

fn signed(more: &str) -> Stage {
    let stage = Stage::new();
    if !more.is_empty() {
        // A shard has at least a byte.
        fs::remove_file(stage.path("model/empty")).unwrap();
    }
    stage.ok(&format!("{SIGN}{more}"));
    stage.ok(VERIFY);
    stage
}

#[test]
fn every_change_of_a_file_is_found_by_either_method() {
    for more in ["", " --method shards --shard-size 50000"] {
        let stage = signed(more);
        stage.write("model/extra\u{1b}[2J", b"");
        stage.refused(VERIFY, 1, "model: not signed: extra\\u{1b}[2J");
        fs::remove_file(stage.path("model/extra\u{1b}[2J")).unwrap();
        stage.flip("model/weights/a.safetensors", 150_000);
        stage.refused(
            VERIFY,
            1,
            "model: changed after it was signed: weights/a.safetensors",
        );
        stage.flip("model/weights/a.safetensors", 150_000);
        fs::rename(stage.path("model/config.json"), stage.path("config.json")).unwrap();
        stage.refused(VERIFY, 1, "model: signed, but missing: config.json");
        symlink("../config.json", stage.path("model/config.json")).unwrap();
        stage.refused(VERIFY, 1, "model/config.json: a symbolic link");
    }
}

/// It would be waited for without end.
#[test]
fn a_pipe_in_place_of_a_signature_is_refused() {
    let stage = signed("");
    fs::remove_file(stage.path("model/model.sig")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(stage.path("model/model.sig"))
        .status();
    assert!(made.unwrap().success());
    stage.refused(VERIFY, 1, "model/model.sig: not a regular file");
}

#[test]
fn one_signature_of_two_is_refused() {
    let stage = signed("");
    let [classical, post_quantum] = ["model/model.sig", "model/model.sig.mldsa"];
    let [ecdsa, mldsa] = [classical, post_quantum].map(|name| stage.read(name));
    for name in [classical, post_quantum] {
        fs::remove_file(stage.path(name)).unwrap();
        stage.refused(
            VERIFY,
            1,
            &format!("{name}: missing: a model is signed twice"),
        );
        stage.write(classical, &ecdsa);
        stage.write(post_quantum, &mldsa);
    }
    stage.write(post_quantum, &ecdsa);
    stage.refused(
        VERIFY,
        1,
        "model.sig.mldsa: the ML-DSA signature is wrong: it was made with another key",
    );
    stage.write(classical, &mldsa);
    stage.refused(
        VERIFY,
        1,
        "model.sig: the ECDSA signature is wrong: it was made with another key",
    );
    stage.write(classical, &ecdsa);
    stage.write(post_quantum, b"{}");
    stage.refused(VERIFY, 1, "model.sig.mldsa: no bundle of a model signature");
    // A valid pair of which one half signs an older state.
    stage.write("model/config.json", b"{\"new\":1}");
    stage.ok(&format!("{SIGN} --replace"));
    stage.ok(VERIFY);
    stage.write(post_quantum, &mldsa);
    stage.refused(
        VERIFY,
        1,
        "model.sig: the two bundles sign different payloads",
    );
}

#[test]
fn two_signatures_in_one_bundle_are_refused() {
    let stage = signed("");
    let read = |name: &str| serde_json::from_slice::<serde_json::Value>(&stage.read(name)).unwrap();
    let mut both = read("model/model.sig");
    let other = read("model/model.sig.mldsa")["dsseEnvelope"]["signatures"][0].clone();
    both["dsseEnvelope"]["signatures"]
        .as_array_mut()
        .unwrap()
        .push(other);
    stage.write("model/model.sig", both.to_string().as_bytes());
    stage.refused(
        VERIFY,
        1,
        "model.sig: no bundle of a model signature: it has 2 signatures",
    );
}

#[test]
fn keys_of_somebody_else_are_refused() {
    let stage = signed("");
    stage.ok("keys sign --out other");
    for (ec, mldsa, says) in [
        (
            "other",
            "sign",
            "the ECDSA signature is wrong: it was made with another key than the one given",
        ),
        (
            "sign",
            "other",
            "the ML-DSA signature is wrong: it was made with another key than the one given",
        ),
    ] {
        let line =
            format!("verify model --public-key {ec}/ec.pub --pq-public-key {mldsa}/mldsa.pub");
        stage.refused(&line, 1, says);
    }
    let swapped = "verify model --public-key sign/mldsa.pub --pq-public-key sign/ec.pub";
    stage.refused(swapped, 1, "sign/mldsa.pub: no ECDSA public key in PEM");
    let swapped = "sign model --key sign/mldsa.key --pq-key sign/ec.key --replace";
    stage.refused(swapped, 1, "sign/mldsa.key: no ECDSA private key in PEM");
}

/// Other tools write keys in DER.
#[test]
fn a_key_in_der_is_refused_with_the_remedy() {
    let stage = signed("");
    let private = ["ec.key", "mldsa.key"];
    let public = ["ec.pub", "mldsa.pub"];
    for name in private.iter().chain(&public) {
        let pem = String::from_utf8(stage.read(&format!("sign/{name}"))).unwrap();
        let lines = pem.lines().filter(|line| !line.starts_with('-'));
        let der = openssl::base64::decode_block(&lines.collect::<String>()).unwrap();
        stage.write(&format!("der/{name}"), &der);
        let file = stage.path(&format!("der/{name}"));
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    for name in private.into_iter().chain(public) {
        let of = |key| format!("{}/{key}", if key == name { "der" } else { "sign" });
        let line = if private.contains(&name) {
            let (ec, mldsa) = (of("ec.key"), of("mldsa.key"));
            format!("sign model --key {ec} --pq-key {mldsa} --replace")
        } else {
            let (ec, mldsa) = (of("ec.pub"), of("mldsa.pub"));
            format!("verify model --public-key {ec} --pq-public-key {mldsa}")
        };
        let says =
            format!("der/{name}: it looks like binary DER or PKCS#12, convert it to PEM with");
        stage.refused(&line, 1, &says);
    }
}

#[test]
fn the_classical_signature_alone_has_to_be_asked_for() {
    let stage = signed("");
    fs::remove_file(stage.path("model/model.sig.mldsa")).unwrap();
    let classical = "verify model --public-key sign/ec.pub";
    stage.refused(classical, 64, "--pq-public-key <FILE>|--only-classical");
    let ran = stage.ok(&format!("{classical} --only-classical"));
    assert!(
        ran.err
            .contains("--only-classical: the ML-DSA signature is not verified"),
        "{}",
        ran.err
    );
    assert!(
        String::from_utf8(ran.out)
            .unwrap()
            .ends_with("by the ECDSA signature only\n")
    );
}

#[test]
fn signatures_are_not_replaced_unasked_and_git_is_left_out() {
    let stage = signed("");
    stage.refused(
        SIGN,
        1,
        "model.sig: exists: the model was signed before; add --replace to sign it again",
    );
    stage.write("model/.git/HEAD", b"ref");
    let ran = stage.ok(VERIFY);
    assert!(
        ran.err.contains("not covered by the signature: .git"),
        "{}",
        ran.err
    );
    stage.write("model/a:b", b"x");
    let shards = format!("{SIGN} --replace --method shards");
    stage.refused(
        &shards,
        1,
        "a:b: `:` in a name is not possible with --method shards",
    );
    fs::remove_file(stage.path("model/a:b")).unwrap();
    stage.refused(
        &shards,
        1,
        "empty: an empty file has no shard: use --method files",
    );
    assert!(!stage.exists("model/.partial-model.sig"));
}

/// What a thief of the storage can do to a sealed model.
#[test]
fn a_sealed_model_opens_only_as_it_was_signed() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    let open = "open sealed out -i id/identity.txt --verify-with sign";
    // Anyone who knows the recipient can make a file.
    stage.write("fake", b"{\"evil\":1}");
    fs::rename(stage.path("sealed/config.json.age"), stage.path("kept")).unwrap();
    stage.ok("seal fake sealed/config.json.age -r id/recipient.txt");
    stage.refused(open, 1, "sealed: changed after it was signed: config.json");
    fs::rename(
        stage.path("sealed/config.json.age"),
        stage.path("sealed/more.age"),
    )
    .unwrap();
    stage.refused(
        open,
        1,
        "sealed: not signed: more; signed, but missing: config.json",
    );
    fs::remove_file(stage.path("sealed/more.age")).unwrap();
    stage.write("sealed/readme.txt", b"");
    stage.refused(
        open,
        1,
        "sealed/readme.txt: not a sealed file: its name does not end with .age",
    );
    fs::remove_file(stage.path("sealed/readme.txt")).unwrap();
    fs::rename(stage.path("kept"), stage.path("sealed/config.json.age")).unwrap();
    // Two files with each other's names are both authentic, and both wrong.
    let [a, b] = ["sealed/config.json.age", "sealed/empty.age"].map(|name| stage.read(name));
    stage.write("sealed/config.json.age", &b);
    stage.write("sealed/empty.age", &a);
    stage.refused(
        open,
        1,
        "sealed: changed after it was signed: config.json, empty",
    );
    stage.write("sealed/config.json.age", &a);
    stage.write("sealed/empty.age", &b);
    fs::rename(stage.path("sealed/model.sig.mldsa.age"), stage.path("kept")).unwrap();
    stage.refused(
        open,
        1,
        "sealed/model.sig.mldsa.age: missing: a model is signed twice",
    );
    fs::rename(stage.path("kept"), stage.path("sealed/model.sig.mldsa.age")).unwrap();
    // What git keeps is not covered by the signature, so it does not belong into a sealed model.
    stage.ok("seal fake sealed/.gitignore.age -r id/recipient.txt");
    stage.refused(open, 1, "sealed: not signed: .gitignore");
    fs::remove_file(stage.path("sealed/.gitignore.age")).unwrap();
    stage.ok(open);
}

/// The store offers another model that the same signer signed.
#[test]
fn another_model_of_the_same_signer_is_refused_by_its_name() {
    let stage = Stage::new();
    stage.write("other/config.json", b"{}");
    stage.ok("seal other sealed -r id/recipient.txt --sign-with sign");
    let open = "open sealed out -i id/identity.txt";
    stage.refused(
        &format!("{open} --verify-with sign --name model"),
        1,
        "sealed: signed as `other`, and --name wants `model`",
    );
    stage.refused(
        &format!("{open} --unsafe-unsigned --name other"),
        64,
        "cannot be used with",
    );
    let ran = stage.ok(&format!("{open} --verify-with sign"));
    assert_eq!(
        ran.err,
        "hybridge: opened 1 file; both signatures hold; signed as `other`: `--name other` demands that name\n"
    );
    fs::remove_dir_all(stage.path("out")).unwrap();
    let ran = stage.ok(&format!("{open} --verify-with sign --name other"));
    assert_eq!(
        ran.err,
        "hybridge: opened 1 file; both signatures hold; signed as `other`\n"
    );
    let verify = "verify out --public-key sign/ec.pub --pq-public-key sign/mldsa.pub";
    stage.ok(&format!("{verify} --name other"));
    let ran = stage.run(&format!("{verify} --name model"));
    assert!(
        ran.code == 1
            && ran
                .err
                .contains("out: signed as `other`, and --name wants `model`"),
        "{}",
        ran.err
    );
    stage.ok("seal model/config.json c.age -r id/recipient.txt --sign-with sign");
    let line = "open c.age c -i id/identity.txt --verify-with sign --name";
    assert_eq!(stage.run(&format!("{line} other.json")).code, 1);
    stage.ok(&format!("{line} config.json"));
}
