use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where a long computation says how far it is. Always on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// A bar where standard error is a terminal, else lines.
    #[default]
    Auto,
    /// A bar with the time that is left.
    Bar,
    /// A line now and then: for logs.
    Lines,
    /// Nothing.
    Silent,
}

/// How often a log gets a line.
const LINE_EVERY: Duration = Duration::from_secs(20);

impl Progress {
    /// Begin a task of `length` units.
    pub fn task(&self, name: &str, length: u64, unit: &'static str) -> Task {
        let bar = match self.resolve() {
            Self::Bar => {
                let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
                // The template is a constant: it parses.
                if let Ok(style) = ProgressStyle::with_template(
                    "{prefix:>16} {bar:32} {pos}/{len} {msg} [{elapsed} < {eta}]",
                ) {
                    bar.set_style(style);
                }
                bar.set_prefix(name.to_string());
                Some(bar)
            }
            _ => None,
        };
        Task {
            name: name.to_string(),
            unit,
            length,
            lines: self.resolve() == Self::Lines,
            bar,
            position: Cell::new(0),
            resumed: Cell::new(0),
            message: RefCell::new(String::new()),
            started: Instant::now(),
            last_line: Cell::new(Instant::now()),
        }
    }

    /// A line for the reader, whatever else is drawn; nothing when silent.
    pub fn say(&self, line: &str) {
        if self.resolve() != Self::Silent {
            to_stderr(line);
        }
    }

    fn resolve(self) -> Self {
        match self {
            Self::Auto if std::io::stderr().is_terminal() => Self::Bar,
            Self::Auto => Self::Lines,
            other => other,
        }
    }
}

/// A task under way.
pub struct Task {
    name: String,
    unit: &'static str,
    length: u64,
    lines: bool,
    bar: Option<ProgressBar>,
    position: Cell<u64>,
    resumed: Cell<u64>,
    message: RefCell<String>,
    started: Instant,
    last_line: Cell<Instant>,
}

impl Task {
    /// Begin further on, where an earlier run stopped: those units say nothing of the speed.
    pub fn resume_at(&self, position: u64) {
        self.position.set(position);
        self.resumed.set(position);
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            bar.reset_eta();
        }
    }

    /// What stands beside the bar.
    pub fn message(&self, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.clone());
        }
        self.message.replace(message);
    }

    /// So many units more are done.
    pub fn advance(&self, units: u64) {
        self.position.set(self.position.get() + units);
        if let Some(bar) = &self.bar {
            bar.inc(units);
        }
        if self.lines && self.last_line.get().elapsed() >= LINE_EVERY {
            self.last_line.set(Instant::now());
            let done = self.position.get();
            let rate = self.started.elapsed().as_secs_f64()
                / done.saturating_sub(self.resumed.get()).max(1) as f64;
            let left = rate * self.length.saturating_sub(done) as f64;
            to_stderr(&format!(
                "{}: {done}/{} {} {} about {} left",
                self.name,
                self.length,
                self.unit,
                self.message.borrow(),
                duration(left)
            ));
        }
    }

    /// A line above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| to_stderr(line)),
            None if self.lines => to_stderr(line),
            None => {}
        }
    }

    /// The task is done; the bar goes.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line to standard error. A reader that has gone, or a full disk behind it, ends no run.
fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Seconds as people write them.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
