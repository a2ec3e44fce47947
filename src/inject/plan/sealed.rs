//! The init container that opens a sealed model into a volume of memory before the app starts, and the
//! mount where the app finds it.

use serde_json::{Value, json};

use super::annotations::{Identity, Request, Sealed};
use super::deny::{Deny, Reason};
use super::editor::{Editor, path};
use super::names::{NAME, OPENED_VOLUME, OPENER, SEALED_KEYS_VOLUME};
use super::pod::{self, List};
use super::preserve::{keep_foreign, security_context};
use super::resources;
use super::settings::Settings;
use super::trace::Trace;

const KEYS_DIR: &str = "/etc/hybridge/sealed";
const SEALED_DIR: &str = "/sealed";
const OPENED_DIR: &str = "/opened";
/// Memory of the init container beside the model, which counts to it while it writes.
const OWN_MEMORY: u64 = 96 << 20;
/// Opening is what it does, at full speed; the scheduler counts the larger of init containers and app.
const CPU: &str = "1";
/// As the TLS key's: the volume is mounted into the init container only.
const FILE_MODE: u32 = 0o444;

/// Puts container, volumes and mounts into the pod, or takes out those of an earlier run.
pub(crate) fn put(
    editor: &mut Editor,
    request: &Request,
    settings: &Settings,
    trace: &mut Trace,
) -> Result<(), Deny> {
    let Some(sealed) = &request.sealed else {
        return take_out(editor);
    };
    check(editor.pod(), sealed)?;
    trace.step(
        format!(
            "sealed model: volume {}, opened at {}",
            sealed.volume, sealed.mount
        ),
        "asked for by annotation sealed; both signatures are verified before the app starts",
    );
    trace.warn(format!("sealed: the opened model stays in memory; the scheduler counts the larger of init containers and app, so let the app's memory request have room for {} too", sealed.size));
    editor.put_named(
        "volumes",
        json!({"name": OPENED_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": sealed.size}}),
    )?;
    editor.put_named("volumes", keys(sealed))?;
    put_opener(editor, request, sealed, settings)?;
    put_mounts(editor, sealed)
}

/// Whether the volume is there, and nobody else has the identity or sits where the model goes.
fn check(pod: &Value, sealed: &Sealed) -> Result<(), Deny> {
    let volumes = pod::array(pod::spec(pod), "volumes");
    if !volumes
        .iter()
        .any(|volume| pod::name(volume) == sealed.volume)
    {
        return Err(Reason::AnnotationValue.about(
            "sealed",
            &format!(
                " names volume {:?}, which the pod does not have; add it to spec.volumes",
                sealed.volume
            ),
        ));
    }
    for slot in pod::all_slots(pod).filter(|slot| slot.name() != OPENER) {
        for mount in pod::array(slot.value, "volumeMounts") {
            let at = pod::string(mount, "mountPath").map(|path| path.trim_end_matches('/'));
            if pod::name(mount) == SEALED_KEYS_VOLUME {
                return Err(Reason::TlsVolumeShared.deny(format!(
                        "container {:?} mounts volume {SEALED_KEYS_VOLUME}, which holds the identity and belongs only to {OPENER}; give the container a volume of its own",
                        slot.name()
                    )));
            }
            if at == Some(&sealed.mount) && pod::name(mount) != OPENED_VOLUME {
                return Err(Reason::AnnotationValue.about("sealed", &format!(
                        " puts the model at {}, where container {:?} mounts volume {:?}; choose another path or remove that mount",
                        sealed.mount,
                        slot.name(),
                        pod::name(mount)
                    )));
            }
        }
    }
    Ok(())
}

fn keys(sealed: &Sealed) -> Value {
    let names = ["ec.pub", "mldsa.pub"];
    let signer = sealed.signer.iter().zip(names);
    let mut sources: Vec<_> = signer.map(|(key, name)| key.projection(name)).collect();
    if let Identity::Secret(identity) = &sealed.identity {
        sources.push(identity.projection("identity.txt"));
    }
    json!({"name": SEALED_KEYS_VOLUME, "projected": {"sources": sources, "defaultMode": FILE_MODE}})
}

/// The last init container: one that downloads the sealed files comes before it.
fn put_opener(
    editor: &mut Editor,
    request: &Request,
    sealed: &Sealed,
    settings: &Settings,
) -> Result<(), Deny> {
    let guaranteed = resources::is_guaranteed_without(editor.pod(), &[NAME, OPENER]);
    let found = pod::slots(editor.pod(), List::Init).find(|slot| slot.name() == OPENER);
    if let Some(slot) = found {
        let fresh = opener(sealed, settings, guaranteed, request, Some(slot.value));
        let at = slot.path(&[]);
        let mut kept = keep_foreign(fresh, slot.value);
        // The API server does not store an empty list.
        if let Some(fields) = kept.as_object_mut() {
            fields.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
        }
        return editor.set(&at, kept);
    }
    let fresh = opener(sealed, settings, guaranteed, request, None);
    editor.push(&path(&["spec", "initContainers"]), fresh)
}

fn opener(
    sealed: &Sealed,
    settings: &Settings,
    guaranteed: bool,
    request: &Request,
    existing: Option<&Value>,
) -> Value {
    let from = match sealed.directory.as_str() {
        "" => SEALED_DIR.to_owned(),
        directory => format!("{SEALED_DIR}/{directory}"),
    };
    let identity = match &sealed.identity {
        Identity::Secret(_) => format!("{KEYS_DIR}/identity.txt"),
        Identity::Url(url) => url.clone(),
    };
    let memory = mebibytes(sealed.bytes().saturating_add(OWN_MEMORY));
    let mut limits = json!({"memory": memory});
    if guaranteed || request.cpu_limit.is_some() {
        limits["cpu"] = json!(CPU);
    }
    let pull = existing.and_then(|e| pod::string(e, "imagePullPolicy"));
    json!({
        "name": OPENER,
        "image": settings.image,
        "imagePullPolicy": pull.filter(|policy| *policy == "Always").unwrap_or(&settings.image_pull_policy),
        // Replaced, because an init container may run again with the volume of the first time.
        "args": ["open", from, OPENED_DIR, "--identity", identity, "--verify-with", KEYS_DIR, "--require-memory", "--replace"],
        "resources": {"limits": limits, "requests": {"cpu": CPU, "memory": memory}},
        "securityContext": security_context(existing, settings.platform_user),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": sealed.volume, "mountPath": SEALED_DIR, "readOnly": true},
            {"name": OPENED_VOLUME, "mountPath": OPENED_DIR},
            {"name": SEALED_KEYS_VOLUME, "mountPath": KEYS_DIR, "readOnly": true},
        ],
    })
}

/// As the API server writes it back, so that a second run changes nothing.
fn mebibytes(bytes: u64) -> String {
    match bytes.div_ceil(1 << 20) {
        whole if whole.is_multiple_of(1024) => format!("{}Gi", whole / 1024),
        part => format!("{part}Mi"),
    }
}

/// Every app container finds the model, and none can change it.
fn put_mounts(editor: &mut Editor, sealed: &Sealed) -> Result<(), Deny> {
    let mount = json!({"name": OPENED_VOLUME, "mountPath": sealed.mount, "readOnly": true});
    let pod = editor.pod().clone();
    for slot in pod::slots(&pod, List::App).filter(|slot| slot.name() != NAME) {
        let mounts = pod::array(slot.value, "volumeMounts");
        match mounts.iter().position(|m| pod::name(m) == OPENED_VOLUME) {
            Some(index) => editor.set(
                &slot.path(&["volumeMounts", &index.to_string()]),
                mount.clone(),
            )?,
            None => editor.push(&slot.path(&["volumeMounts"]), mount.clone())?,
        }
    }
    Ok(())
}

/// Takes out what an earlier run put in.
pub(crate) fn take_out(editor: &mut Editor) -> Result<(), Deny> {
    let pod = editor.pod().clone();
    let known = pod::slots(&pod, List::Init).any(|slot| slot.name() == OPENER);
    if !known {
        return Ok(());
    }
    for slot in pod::slots(&pod, List::App) {
        let mounts = pod::array(slot.value, "volumeMounts");
        if let Some(index) = mounts.iter().position(|m| pod::name(m) == OPENED_VOLUME) {
            editor.remove(&slot.path(&["volumeMounts", &index.to_string()]))?;
            editor.prune(&slot.path(&["volumeMounts"]))?;
        }
    }
    for (list, name) in [
        ("initContainers", OPENER),
        ("volumes", OPENED_VOLUME),
        ("volumes", SEALED_KEYS_VOLUME),
    ] {
        editor.take_named(list, name)?;
    }
    Ok(())
}
