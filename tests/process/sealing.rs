//! `hybridge keys`, `seal`, `open`, `rewrap`, `reseal`, `inspect`, `sign` and `verify`: what they make, and
//! what each says and leaves when something is wrong.

mod classical;
mod hostile;
mod identities;
mod killed;
mod partial;
mod replaced;
mod rewrapped;
mod signatures;
mod sources;
mod whole;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

/// A directory with keys of both kinds and a model of three files.
struct Stage {
    directory: TempDir,
}

/// Exit code, standard output, standard error.
struct Ran {
    code: i32,
    out: Vec<u8>,
    err: String,
}

/// Path, mode, and the content of a file.
type Kept = (PathBuf, u32, Option<Vec<u8>>);

/// The directories `id` and `sign` of every stage, made once.
static KEYS: LazyLock<Vec<Kept>> = LazyLock::new(|| {
    let stage = Stage::empty();
    stage.ok("keys seal --out id");
    stage.ok("keys sign --out sign");
    let mode = |name: &Path| {
        let metadata = fs::metadata(stage.directory.path().join(name)).unwrap();
        metadata.permissions().mode()
    };
    let mut kept = Vec::new();
    for directory in ["id", "sign"].map(PathBuf::from) {
        let files = tree(&stage.directory.path().join(&directory));
        kept.push((directory.clone(), mode(&directory), None));
        for (name, content) in files {
            let name = directory.join(name);
            kept.push((name.clone(), mode(&name), Some(content)));
        }
    }
    kept
});

impl Stage {
    fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn new() -> Self {
        let stage = Self::empty();
        for (name, mode, content) in &*KEYS {
            let path = stage.directory.path().join(name);
            match content {
                Some(content) => fs::write(&path, content),
                None => fs::create_dir(&path),
            }
            .unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        stage.write("model/config.json", b"{}");
        stage.write("model/weights/a.safetensors", &safetensors(200_000));
        stage.write("model/empty", b"");
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
        command.args(line.split(' ')).env_clear();
        command.current_dir(self.directory.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run_with(&self, line: &str, input: &[u8]) -> Ran {
        let mut child = self.command(line).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        Ran {
            code: output.status.code().unwrap(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The words of the line are separated by single spaces.
    fn run(&self, line: &str) -> Ran {
        self.run_with(line, b"")
    }

    fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        ran
    }

    /// The command says this, exits with this, and leaves nothing in `out`, under no name.
    fn refused(&self, line: &str, code: i32, says: &str) {
        let ran = self.run(line);
        assert!(
            ran.err.contains(says),
            "{line}\n  said   {}\n  wanted {says}",
            ran.err
        );
        assert_eq!(ran.code, code, "{line}: {}", ran.err);
        assert!(
            !self.exists("out") && !self.exists(".partial-out"),
            "{line}"
        );
        assert!(ran.out.is_empty(), "{line}");
    }

    /// Changes one byte of a file.
    fn flip(&self, name: &str, at: usize) {
        let mut bytes = self.read(name);
        bytes[at] ^= 1;
        self.write(name, &bytes);
    }
}

/// One tensor of so many bytes.
fn safetensors(bytes: usize) -> Vec<u8> {
    let header = format!(
        "{{\"__metadata__\":{{\"format\":\"pt\"}},\"w\":{{\"dtype\":\"U8\",\"shape\":[{bytes}],\"data_offsets\":[0,{bytes}]}}}}"
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend((0..bytes).map(|i| (i % 251) as u8));
    file
}

/// Every file below, with its content.
fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.push((name, fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_file_comes_back_whatever_its_size_and_way() {
    let stage = Stage::new();
    for size in [0, 1, 65535, 65536, 65537, 262_144, 262_145, 1_000_000] {
        let plain: Vec<u8> = (0..size).map(|i: usize| (i * 7 % 256) as u8).collect();
        stage.write("plain", &plain);
        stage.ok("seal plain plain.age -r id/recipient.txt");
        stage.ok("open plain.age out -i id/identity.txt --unsafe-unsigned --threads 3");
        assert_eq!(stage.read("out"), plain);
        let sealed = stage.run_with("seal - - -r id/recipient.txt", &plain).out;
        let opened = stage.run_with("open - - -i id/identity.txt --unsafe-unsigned", &sealed);
        assert_eq!(
            (opened.code, opened.out == plain),
            (0, true),
            "{}",
            opened.err
        );
        let opened = stage.run("open plain.age - -i id/identity.txt --unsafe-unsigned");
        assert!(opened.out == plain);
        for name in ["plain.age", "out"] {
            fs::remove_file(stage.path(name)).unwrap();
        }
    }
}

#[test]
fn a_signed_model_comes_back_and_its_signatures_with_it() {
    let stage = Stage::new();
    stage.write("model/.gitattributes", b"left out");
    let ran = stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    assert!(
        ran.err
            .contains("left out, not part of the model: .gitattributes"),
        "{}",
        ran.err
    );
    fs::remove_file(stage.path("model/.gitattributes")).unwrap();
    let names: Vec<_> = tree(&stage.path("sealed"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "config.json.age",
        "empty.age",
        "model.sig.age",
        "model.sig.mldsa.age",
        "weights/a.safetensors.age",
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    stage.ok("open sealed out -i id/identity.txt --verify-with sign");
    let mut opened = tree(&stage.path("out"));
    opened.retain(|(name, _)| !name.to_str().unwrap().starts_with("model.sig"));
    assert_eq!(opened, tree(&stage.path("model")));
    let ran = stage.ok("verify out --public-key sign/ec.pub --pq-public-key sign/mldsa.pub");
    let said = String::from_utf8(ran.out).unwrap();
    assert_eq!(
        said,
        "model: 3 files as signed, by both signatures, ECDSA and ML-DSA\n"
    );
}

#[test]
fn a_signed_file_has_its_signatures_beside_it() {
    let stage = Stage::new();
    stage.ok("seal model/config.json c.json.age -r id/recipient.txt --sign-with sign");
    assert!(stage.exists("c.json.sig.age") && stage.exists("c.json.sig.mldsa.age"));
    stage.ok("open c.json.age out --replace -i id/identity.txt --verify-with sign");
    assert_eq!(stage.read("out"), b"{}");
    fs::remove_file(stage.path("out")).unwrap();
    fs::remove_file(stage.path("c.json.sig.mldsa.age")).unwrap();
    stage.refused(
        "open c.json.age out -i id/identity.txt --verify-with sign",
        1,
        "c.json.sig.mldsa.age: missing: a model is signed twice",
    );
}

#[test]
fn a_sealed_file_that_was_changed_says_where() {
    let stage = Stage::new();
    stage.write("plain", &vec![7; 200_000]);
    stage.ok("seal plain good.age -r id/recipient.txt");
    let open = "open bad.age out -i id/identity.txt --unsafe-unsigned";
    let good = stage.read("good.age");
    let head = good.len() - 200_000 - 4 * 16;
    let cases: [(Vec<u8>, &str); 7] = [
        (good[..head + 65_552].to_vec(), "before its last chunk"),
        (
            good[..good.len() - 1].to_vec(),
            "bad.age: damaged at chunk 3, bytes ",
        ),
        (
            good[..100].to_vec(),
            "the header is not of age version 1: it ends early",
        ),
        (
            good[..head - 3].to_vec(),
            "truncated: the file ends at byte",
        ),
        ([good.as_slice(), b"x"].concat(), "damaged at chunk 3"),
        (
            b"PK\x03\x04\n".to_vec(),
            "does not begin with `age-encryption.org/v1`",
        ),
        (Vec::new(), "it ends early"),
    ];
    for (bytes, says) in cases {
        stage.write("bad.age", &bytes);
        stage.refused(open, 1, says);
    }
    stage.write("bad.age", &good);
    stage.flip("bad.age", head + 65_552 + 5);
    let from = head + 65_552;
    let says = format!(
        "bad.age: damaged at chunk 1, bytes {from} to {} of the sealed file",
        from + 65_552
    );
    stage.refused(open, 1, &says);
    // One more stanza, well formed, for the attacker who added it.
    let header =
        String::from_utf8_lossy(&good[..head - 16]).replacen("\n-> ", "\n-> grease x\n\n-> ", 1);
    stage.write("bad.age", &[header.as_bytes(), &good[head - 16..]].concat());
    stage.refused(open, 1, "bad.age: the header was changed: its MAC is wrong");
}

#[test]
fn new_recipients_open_a_file_and_old_ones_do_not() {
    let stage = Stage::new();
    stage.ok("keys seal --out new");
    for command in ["rewrap", "reseal"] {
        stage.ok("seal model sealed -r id/recipient.txt");
        let ran = stage.ok(&format!(
            "{command} sealed -i id/identity.txt -r new/recipient.txt"
        ));
        assert_eq!(ran.err.contains("revokes nothing"), command == "rewrap");
        let says = "no identity matched: the file is sealed for 1 × mlkem768x25519";
        stage.refused(
            "open sealed out -i id/identity.txt --unsafe-unsigned",
            1,
            says,
        );
        stage.ok("open sealed out -i new/identity.txt --unsafe-unsigned");
        assert_eq!(tree(&stage.path("out")), tree(&stage.path("model")));
        for name in ["out", "sealed"] {
            fs::remove_dir_all(stage.path(name)).unwrap();
        }
    }
}

#[test]
fn inspect_lists_tensors_without_opening_the_file() {
    let stage = Stage::new();
    stage.ok("seal model/weights/a.safetensors a.age -r id/recipient.txt");
    let shown = |line: &str| String::from_utf8(stage.ok(line).out).unwrap();
    let text = shown("inspect a.age");
    assert!(
        text.contains("recipients    1 × mlkem768x25519\npost-quantum  yes\n"),
        "{text}"
    );
    assert!(!text.contains("tensor"), "{text}");
    let text = shown("inspect a.age -i id/identity.txt");
    assert!(
        text.contains("tensor        w U8 [200000] 200000 bytes"),
        "{text}"
    );
    let json = shown("inspect a.age -i id/identity.txt --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "hybridge-inspect/1");
    assert_eq!(json["post_quantum"], true);
    assert_eq!(json["tensors"][0]["bytes"], 200_000);
    // The end is authenticated first: what was cut off shows nothing.
    let bytes = stage.read("a.age");
    stage.write("a.age", &bytes[..bytes.len() - 1000]);
    stage.refused(
        "inspect a.age -i id/identity.txt",
        1,
        "a.age: damaged at chunk 3",
    );
}
