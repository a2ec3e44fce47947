//! A small plot in SVG: axes, lines, stacked bars. Colours are CSS variables of the page, so that light, dark and
//! print each have their own; text scales with the drawing.

use hybridge_page::escape;

use super::numbers::tick_labels;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
/// Labels of an axis are this far from each other at least.
const APART: f64 = 26.0;

/// Marks of an axis, at most.
const MARKS: usize = 100;

/// How values are laid out along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear { low: f64, high: f64 },
    Log { low: f64, high: f64 },
}

impl Scale {
    /// From zero to a little above the largest value.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let high = values.fold(0.0, f64::max) * 1.08;
        Self::Linear {
            low: 0.0,
            high: if high > 0.0 { high } else { 1.0 },
        }
    }

    /// From a 1, 2 or 5 below all positive values to one above.
    pub(super) fn decades(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values
            .clone()
            .filter(|value| *value > 0.0)
            .fold(f64::INFINITY, f64::min);
        let high = values.fold(0.0, f64::max);
        if !low.is_finite() {
            return Self::Log {
                low: 1.0,
                high: 10.0,
            };
        }
        Self::Log {
            low: step_below(low),
            high: step_above(high * 1.05),
        }
    }

    fn place(&self, value: f64) -> f64 {
        match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value.max(*low) / low).ln() / (high / low).ln(),
        }
    }

    /// Round values to mark.
    fn ticks(&self) -> Vec<f64> {
        match *self {
            Self::Linear { low, high } => {
                let step = step_above((high - low) / 5.0);
                (0..8)
                    .map(|index| low + step * f64::from(index))
                    .filter(|tick| *tick <= high)
                    .collect()
            }
            Self::Log { low, high } => {
                let mut ticks = vec![low];
                let more = |ticks: &[f64]| ticks.last().copied().filter(|last| last * 1.5 < high);
                // Values that no decade tells apart would have marks without end.
                while let Some(last) = more(&ticks).filter(|_| ticks.len() < MARKS) {
                    ticks.push(step_above(last * 1.5));
                }
                ticks
            }
        }
    }
}

/// The next 1, 2 or 5 times a power of ten, not above the value.
fn step_below(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|step| step * decade)
        .find(|step| *step <= value)
        .unwrap_or(decade)
}

/// The same, not below it.
fn step_above(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * decade)
        .find(|step| *step >= value)
        .unwrap_or(decade)
}

/// A drawing under way.
#[derive(Debug)]
pub(super) struct Plot {
    body: String,
    x: Scale,
    y: Scale,
    legend: f64,
}

impl Plot {
    /// Draws frame and axes; `x_ticks` is what is written below.
    pub(super) fn new(
        x: Scale,
        y: Scale,
        x_title: &str,
        y_title: &str,
        x_ticks: Vec<(f64, String)>,
    ) -> Self {
        let mut plot = Self {
            body: String::new(),
            x,
            y,
            legend: LEFT,
        };
        let marks = y.ticks();
        for (tick, label) in marks.iter().zip(tick_labels(&marks)) {
            let at = plot.y(*tick);
            plot.body += &format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
                WIDTH - RIGHT
            );
            plot.text(LEFT - 6.0, at + 4.0, "end", &label);
        }
        let mut last = f64::NEG_INFINITY;
        for (tick, label) in x_ticks {
            let at = plot.x(tick);
            // Labels that would lie on each other are left out; the points are there all the same.
            if at - last < APART {
                continue;
            }
            last = at;
            plot.text(at, HEIGHT - BOTTOM + 18.0, "middle", &label);
        }
        plot.text(
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 8.0,
            "middle",
            x_title,
        );
        plot.text(4.0, 16.0, "start", y_title);
        plot
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    /// A line through points, in the series' colour.
    pub(super) fn line(&mut self, series: usize, points: &[(f64, f64)]) {
        let path: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", self.x(*x), self.y(*y)))
            .collect();
        self.body += &format!(
            "<polyline class=\"line c{series}\" points=\"{}\"/>",
            path.join(" ")
        );
    }

    /// A point with its interval.
    pub(super) fn point(&mut self, series: usize, x: f64, y: f64, low: f64, high: f64) {
        let (at, low, high) = (self.x(x), self.y(low), self.y(high));
        self.body += &format!(
            "<line class=\"line c{series}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>"
        );
        self.body += &format!(
            "<circle class=\"dot c{series}\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
            self.y(y)
        );
    }

    /// A bar between two values, `width` in pixels, with a title for the pointer.
    pub(super) fn bar(
        &mut self,
        series: usize,
        centre: f64,
        width: f64,
        from: f64,
        to: f64,
        title: &str,
    ) {
        let (top, bottom) = (self.y(to), self.y(from));
        self.body += &format!(
            "<rect class=\"bar c{series}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            centre - width / 2.0,
            (bottom - top).max(0.5),
            escape(title)
        );
    }

    /// An entry above the plot.
    pub(super) fn key(&mut self, series: usize, name: &str) {
        let at = self.legend;
        self.body += &format!(
            "<rect class=\"bar c{series}\" x=\"{at:.1}\" y=\"24\" width=\"10\" height=\"10\"/>"
        );
        self.text(at + 14.0, 33.0, "start", name);
        self.legend += 30.0 + name.chars().count() as f64 * 6.6;
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: &str, words: &str) {
        self.body += &format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(words)
        );
    }

    /// The finished drawing; `title` is for those who cannot see it.
    pub(super) fn finish(self, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>{1}</svg>",
            escape(title),
            self.body
        )
    }
}
