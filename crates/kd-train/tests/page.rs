//! The page of a whole diagnosis in a browser: no errors, nothing asked for, readable at any width, in light and dark.
//!
//! Chromium is looked for where `KD_CHROMIUM` says, and in the path. Without one the tests report as ignored; with
//! `KD_REQUIRE_CHROMIUM=1` they fail.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use burn::tensor::Device;
use kd_augment::Preset;
use kd_data::{ImageSet, Shapes, Split};
use kd_models::{Architecture, Classifier, InputSpec, ModelConfig, Statistics};
use kd_train::{
    Diagnosis, DiagnosisConfig, LossRelation, MixDiagnosisConfig, Progress, RankConfig, Scheme,
    diagnose_mixes, diagnose_network, rank_augmentations_with_student,
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

fn main() -> ExitCode {
    let chromium = chromium();
    let required = std::env::var("KD_REQUIRE_CHROMIUM").is_ok_and(|value| value == "1");
    let trials = [("light", false), ("dark", true)].map(|(name, dark)| {
        let chromium = chromium.clone();
        let opens = move || match &chromium {
            Some(chromium) => opens(chromium, dark),
            None => Err("no Chromium; KD_CHROMIUM may name one".into()),
        };
        Trial::test(format!("the_page_opens_in_{name}"), opens)
    });
    let ignored = chromium.is_none() && !required;
    let trials = trials
        .into_iter()
        .map(|trial| trial.with_ignored_flag(ignored));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("KD_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    named.into_iter().chain(found).find(|file| file.is_file())
}

fn network(architecture: Architecture, seed: u64) -> Classifier {
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let config = ModelConfig::new(spec).with_seed(seed);
    architecture.init(&config, &Device::flex()).unwrap()
}

/// Votes of eight people, three of whom see the next class.
fn with_people(set: ImageSet) -> ImageSet {
    let mut votes = vec![0.0; set.len() * set.classes()];
    let classes = set.classes();
    for (row, &label) in votes.chunks_mut(classes).zip(set.labels()) {
        row[usize::from(label)] += 0.625;
        row[(usize::from(label) + 1) % classes] += 0.375;
    }
    set.with_soft_labels(votes).unwrap()
}

/// Two untrained networks, with every section that a page can have.
fn page() -> String {
    let (teacher, student) = (
        network(Architecture::ResNet8, 0),
        network(Architecture::LeNet5, 1),
    );
    let train = Shapes::render(0, Split::Train, 200);
    let test = with_people(Shapes::render(0, Split::Test, 120));
    let quiet = &Progress::Silent;
    let mut config = DiagnosisConfig::default();
    config.tsne.iterations = 100;
    let found = [
        (
            "a teacher with a name that is long enough to be broken",
            &teacher,
        ),
        ("student", &student),
    ]
    .map(|(name, network)| diagnose_network(name, network, &test, &config, quiet).unwrap());

    let mut config = RankConfig::default();
    config.schemes = ["identity", "mixup", "cutmix", "cutmix_pick"]
        .map(|name| Scheme::named(name, Preset::Cifar10).unwrap())
        .to_vec();
    config.means = 3;
    config.batch_size = 16;
    config.cross_entropy = true;
    let ranking =
        rank_augmentations_with_student(&teacher, &student, &train, &config, quiet).unwrap();
    let losses = ["identity", "mixup", "cutmix"]
        .map(String::from)
        .into_iter()
        .zip([0.5, 0.4, 0.3]);
    let relation = LossRelation::of(&ranking, &losses.collect::<Vec<_>>()).unwrap();
    let mut config = MixDiagnosisConfig::default();
    config.batches = 2;
    config.batch_size = 32;
    let mixes = diagnose_mixes(&teacher, Some(&student), &train, &config, quiet).unwrap();
    assert!(mixes.labels.disagree > 0.0, "something to show");

    let diagnosis = Diagnosis {
        data: "Shapes".into(),
        classes: test.class_names().to_vec(),
        networks: found.to_vec(),
        ranking: Some(ranking),
        mixes: Some(mixes),
        relation: Some(relation),
    };
    let figures = diagnosis.figures().unwrap();
    let mut names: Vec<_> = figures.iter().map(|figure| &figure.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(
        names.len(),
        figures.len(),
        "no two pictures have the same name"
    );
    let page = diagnosis.page("A teacher and a student").unwrap();
    for figure in figures {
        assert!(page.contains(&figure.svg), "{} is on the page", figure.name);
    }
    page
}

/// Loads the page in frames of the widths of a desk, a tablet and a phone, and notes what it finds as JSON in its own title.
const HARNESS: &str = r#"<!doctype html><title></title><body><script>
const widths = [1280, 768, 390];
const luminance = (text) => {
  const [r, g, b] = text.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const look = (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const style = (element) => view.getComputedStyle(element);
  const figures = [...page.querySelectorAll("figure svg, figure img")];
  const boxes = figures.map((figure) => figure.getBoundingClientRect());
  const paper = style(page.body).backgroundColor;
  return {
    width: frame.clientWidth,
    overflow: root.scrollWidth - root.clientWidth,
    figures: figures.length,
    invisible: boxes.filter((box) => box.width < 40 || box.height < 16).length,
    outside: boxes.filter((box) => box.right > root.clientWidth + 1).length,
    broken: [...page.images].filter((image) => !image.complete || image.naturalWidth === 0).length,
    contrast: contrast(style(page.body).color, paper),
    muted: contrast(style(page.querySelector(".lead")).color, paper),
    ink: contrast(style(page.querySelector("figure svg text")).fill, paper),
    dark: luminance(paper) < 0.2,
    asked: view.performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith("data:")).length,
  };
};
Promise.all(widths.map((width) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "900px"; frame.style.border = "0";
  frame.onload = () => done(look(frame));
  frame.src = "report.html";
  document.body.append(frame);
}))).then((found) => { document.title = JSON.stringify(found); });
</script></body>"#;

fn browse(chromium: &Path, folder: &Path, dark: bool) -> (String, String) {
    let mut command = Command::new(chromium);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        "--window-size=1400,1000",
        "--virtual-time-budget=20000",
        "--dump-dom",
    ]);
    let scheme = if dark { "0" } else { "1" };
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command.arg(format!(
        "--user-data-dir={}",
        folder.join("profile").display()
    ));
    command.arg(format!("file://{}", folder.join("harness.html").display()));
    let output = command.output().expect("Chromium starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

fn opens(chromium: &Path, dark: bool) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("report.html"), page())?;
    std::fs::write(folder.path().join("harness.html"), HARNESS)?;
    let (dom, log) = browse(chromium, folder.path(), dark);
    // Chromium writes what a page says on its console, errors among it, with the word CONSOLE.
    let said: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(said.is_empty(), "{said:?}");
    let title = dom
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next());
    let title = title.unwrap_or_default().replace("&quot;", "\"");
    let frames: Vec<Value> =
        serde_json::from_str(&title).map_err(|error| format!("{error}: {dom:.600} {log:.2000}"))?;
    assert_eq!(frames.len(), 3);
    for frame in frames {
        let number = |key: &str| frame[key].as_f64().unwrap_or(f64::NAN);
        for none in ["overflow", "invisible", "outside", "broken", "asked"] {
            assert_eq!(number(none), 0.0, "{none}: {frame}");
        }
        // More than a dozen pictures a network, and the rows of images.
        assert!(number("figures") > 20.0, "{frame}");
        // What the guidelines for accessible pages ask of text: 4.5, and 3 of what is large or beside the point.
        assert!(
            number("contrast") >= 7.0 && number("muted") >= 4.5 && number("ink") >= 7.0,
            "{frame}"
        );
        assert_eq!(frame["dark"].as_bool(), Some(dark), "{frame}");
    }
    Ok(())
}
