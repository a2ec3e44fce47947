//! The page in a real browser (Chromium, skipped where there is none): it fits a narrow window, draws its charts and
//! has a dark form.

use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../golden/report.html");
/// The narrowest window headless Chromium makes.
const NARROW: u32 = 500;

fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        });
    if found.is_none() {
        eprintln!("skipped: no Chromium on this machine");
    }
    found
}

/// The title the page has when this script has run in it.
fn title_after(chromium: &str, folder: &Path, script: &str, more: &[&str]) -> String {
    let path = folder.join("page.html");
    std::fs::write(
        &path,
        PAGE.replace("</main>", &format!("</main><script>{script}</script>")),
    )
    .unwrap();
    let output = Command::new(chromium)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("--window-size={NARROW},1200"))
        .args(more)
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    dom.split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next())
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_page_fits_a_narrow_window_and_draws_every_chart() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = "const e = document.documentElement; \
                  const drawn = [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().height > 100); \
                  document.title = `width ${e.scrollWidth} of ${e.clientWidth}, charts ${drawn.length}`;";
    let title = title_after(chromium, folder.path(), script, &[]);
    let numbers: Vec<u32> = title
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    let [width, window, drawn] = numbers[..] else {
        panic!("the page did not load: {title}")
    };
    let charts = PAGE.matches("<svg").count();
    assert!(charts >= 5 && drawn as usize == charts, "{title}");
    assert!(width <= window, "it scrolls sideways: {title}");
}

#[test]
fn the_page_has_a_light_and_a_dark_form() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ground = |scheme: &str| {
        let script = "document.title = getComputedStyle(document.body).backgroundColor;";
        title_after(chromium, folder.path(), script, &[scheme])
    };
    assert_eq!(
        ground("--blink-settings=preferredColorScheme=1"),
        "rgb(255, 255, 255)"
    );
    assert_eq!(
        ground("--blink-settings=preferredColorScheme=0"),
        "rgb(20, 24, 29)"
    );
}
