//! Which widgets stand where on a dashboard.

use serde::{Deserialize, Serialize};

/// The most columns.
const COLUMNS: u8 = 4;
/// The greatest height; 0 is as high as it needs.
const HEIGHT: u8 = 3;

/// A widget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Widget {
    System,
    States,
    Pair,
    Gateways,
    Interfaces,
    Traffic,
    Log,
    Services,
}

impl Widget {
    /// Every one.
    pub const ALL: [Widget; 8] = [
        Widget::System,
        Widget::States,
        Widget::Pair,
        Widget::Gateways,
        Widget::Interfaces,
        Widget::Traffic,
        Widget::Log,
        Widget::Services,
    ];

    /// In forms, and for people.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Widget::System => ("system", "System"),
            Widget::States => ("states", "States"),
            Widget::Pair => ("pair", "CARP and pair"),
            Widget::Gateways => ("gateways", "Gateways"),
            Widget::Interfaces => ("interfaces", "Interfaces"),
            Widget::Traffic => ("traffic", "Traffic graph"),
            Widget::Log => ("log", "Firewall log"),
            Widget::Services => ("services", "Services"),
        }
    }

    /// By its name in forms.
    pub fn parse(text: &str) -> Option<Widget> {
        Widget::ALL.into_iter().find(|widget| widget.words().0 == text)
    }
}

/// A widget in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Tile {
    pub widget: Widget,
    /// Columns that it takes.
    pub width: u8,
    /// 0 is as high as it needs; otherwise it scrolls.
    #[serde(default)]
    pub height: u8,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Layout {
    pub columns: u8,
    pub tiles: Vec<Tile>,
}

impl Default for Layout {
    fn default() -> Self {
        let tile = |widget, width| Tile { widget, width, height: 0 };
        let tiles = vec![
            tile(Widget::System, 1),
            tile(Widget::States, 1),
            tile(Widget::Traffic, 2),
            tile(Widget::Pair, 2),
            tile(Widget::Gateways, 2),
            tile(Widget::Interfaces, 2),
        ];
        Layout { columns: 2, tiles }
    }
}

/// What somebody does with a dashboard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Add(Widget),
    Remove(Widget),
    Earlier(Widget),
    Later(Widget),
    /// Before this other one; to the end when absent.
    Before(Widget, Option<Widget>),
    Wider(Widget),
    Narrower(Widget),
    Taller(Widget),
    Shorter(Widget),
    Columns(u8),
    Reset,
}

impl Deed {
    /// What a form says.
    pub fn parse(deed: &str, widget: &str, rest: &str) -> Option<Deed> {
        let widget = || Widget::parse(widget);
        Some(match deed {
            "add" => Deed::Add(widget()?),
            "remove" => Deed::Remove(widget()?),
            "earlier" => Deed::Earlier(widget()?),
            "later" => Deed::Later(widget()?),
            "before" => {
                Deed::Before(widget()?, if rest.is_empty() { None } else { Some(Widget::parse(rest)?) })
            }
            "wider" => Deed::Wider(widget()?),
            "narrower" => Deed::Narrower(widget()?),
            "taller" => Deed::Taller(widget()?),
            "shorter" => Deed::Shorter(widget()?),
            "columns" => Deed::Columns(rest.parse().ok()?),
            "reset" => Deed::Reset,
            _ => return None,
        })
    }
}

impl Layout {
    /// Within its bounds, with each widget once.
    pub fn sane(mut self) -> Layout {
        self.columns = self.columns.clamp(1, COLUMNS);
        let mut seen = Vec::new();
        self.tiles.retain(|tile| {
            let is_new = !seen.contains(&tile.widget);
            seen.push(tile.widget);
            is_new
        });
        for tile in &mut self.tiles {
            tile.width = tile.width.clamp(1, self.columns);
            tile.height = tile.height.min(HEIGHT);
        }
        self
    }

    /// Widgets that it does not show.
    pub fn missing(&self) -> impl Iterator<Item = Widget> {
        Widget::ALL.into_iter().filter(|widget| self.tiles.iter().all(|tile| tile.widget != *widget))
    }

    /// After this.
    pub fn after(mut self, deed: Deed) -> Layout {
        let at = |layout: &Layout, widget| layout.tiles.iter().position(|tile| tile.widget == widget);
        let size = |layout: &mut Layout, widget, change: fn(&mut Tile)| {
            if let Some(at) = at(layout, widget) {
                change(&mut layout.tiles[at]);
            }
        };
        match deed {
            Deed::Add(widget) => {
                if at(&self, widget).is_none() {
                    self.tiles.push(Tile { widget, width: 1, height: 0 });
                }
            }
            Deed::Remove(widget) => self.tiles.retain(|tile| tile.widget != widget),
            Deed::Earlier(widget) => {
                if let Some(at) = at(&self, widget).filter(|at| *at > 0) {
                    self.tiles.swap(at, at - 1);
                }
            }
            Deed::Later(widget) => {
                if let Some(at) = at(&self, widget).filter(|at| at + 1 < self.tiles.len()) {
                    self.tiles.swap(at, at + 1);
                }
            }
            Deed::Before(widget, other) => {
                if let Some(from) = at(&self, widget).filter(|_| other != Some(widget)) {
                    let tile = self.tiles.remove(from);
                    let to = other.and_then(|other| at(&self, other)).unwrap_or(self.tiles.len());
                    self.tiles.insert(to, tile);
                }
            }
            Deed::Wider(widget) => size(&mut self, widget, |tile| tile.width += 1),
            Deed::Narrower(widget) => {
                size(&mut self, widget, |tile| tile.width = tile.width.saturating_sub(1))
            }
            // As high as it needs is the greatest height.
            Deed::Taller(widget) => size(&mut self, widget, |tile| {
                tile.height = if tile.height == 0 { 0 } else { (tile.height + 1) % (HEIGHT + 1) };
            }),
            Deed::Shorter(widget) => size(&mut self, widget, |tile| {
                tile.height = if tile.height == 0 { HEIGHT } else { tile.height.saturating_sub(1).max(1) };
            }),
            Deed::Columns(columns) => self.columns = columns,
            Deed::Reset => return Layout::default(),
        }
        self.sane()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(layout: &Layout) -> Vec<Widget> {
        layout.tiles.iter().map(|tile| tile.widget).collect()
    }

    #[test]
    fn widgets_are_added_moved_sized_and_removed() {
        use Widget::{Gateways, Interfaces, Log, States, System, Traffic};
        let mut layout = Layout::default();
        let mut act = |deed: &str, widget: &str, rest: &str| {
            layout = layout.clone().after(Deed::parse(deed, widget, rest).unwrap());
            layout.clone()
        };
        assert_eq!(order(&act("remove", "pair", "")), [System, States, Traffic, Gateways, Interfaces]);
        assert_eq!(order(&act("add", "log", "")).last(), Some(&Log));
        assert_eq!(order(&act("add", "log", "")).len(), 6, "each once");
        assert_eq!(order(&act("earlier", "log", ""))[4..], [Log, Interfaces]);
        assert_eq!(order(&act("later", "system", ""))[..2], [States, System]);
        assert_eq!(order(&act("before", "interfaces", "states"))[0], Interfaces);
        assert_eq!(order(&act("before", "interfaces", "")).last(), Some(&Interfaces));
        assert_eq!(order(&act("before", "states", "states")).len(), 6);
        for _ in 0..9 {
            act("wider", "log", "");
            act("taller", "log", "");
        }
        let tile = |layout: &Layout| layout.tiles.iter().copied().find(|tile| tile.widget == Log).unwrap();
        let shown = act("earlier", "log", "");
        assert_eq!((tile(&shown).width, tile(&shown).height), (2, 0));
    }

    #[test]
    fn sizes_stay_within_their_bounds() {
        let wide =
            Layout { columns: 200, tiles: vec![Tile { widget: Widget::Log, width: 0, height: 99 }; 50] };
        let sane = wide.sane();
        assert_eq!((sane.columns, sane.tiles.len()), (4, 1));
        assert_eq!((sane.tiles[0].width, sane.tiles[0].height), (1, 3));
        let narrow = sane.after(Deed::Wider(Widget::Log)).after(Deed::Columns(0));
        assert_eq!((narrow.columns, narrow.tiles[0].width), (1, 1));
        let short = narrow.after(Deed::Shorter(Widget::Log)).after(Deed::Shorter(Widget::Log));
        assert_eq!(short.tiles[0].height, 1);
        for wrong in
            [("fly", "log", ""), ("add", "clock", ""), ("columns", "", "x"), ("before", "log", "clock")]
        {
            assert_eq!(Deed::parse(wrong.0, wrong.1, wrong.2), None, "{wrong:?}");
        }
        assert_eq!(Layout::default().after(Deed::Reset), Layout::default());
        assert!(Layout::default().missing().eq([Widget::Log, Widget::Services]));
    }
}
