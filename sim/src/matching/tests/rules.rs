//! The rules that can be chosen: models of the queue, fills in one piece, trades that are taken at their word.

use super::*;
use crate::replay::queue::QueueModel;

fn model(name: &str) -> MatchingRules {
    let queue = name.parse().unwrap();
    MatchingRules { queue, late_trades: Duration::ZERO, ..MatchingRules::default() }
}

#[test]
fn a_shrinking_level_moves_the_queue_as_the_model_says() {
    // 5 ahead and 4 behind, 2 of the 9 go away; worked out by hand from the models' formulas.
    let table = [
        ("risk-averse", "5"),
        ("log", "3.94639"),
        ("log2", "4.39794"),
        ("power:2", "3.78048"),
        ("power2:2", "3.39506"),
        ("power3:2", "4.38271"),
    ];
    for (name, expected) in table {
        let said = run_by(model(name), "book 5@99 | 4@101; join 1 buy 2@99; diff 9@99 |; diff 7@99 |");
        assert!(said.starts_with(&format!("[1: 2 behind {expected}")), "{name}: {said}");
    }
}

#[test]
fn a_trade_and_the_decrease_it_causes_count_once_in_every_model() {
    for name in ["risk-averse", "log", "log2", "power:2", "power2:2", "power3:2"] {
        let traded = "book 5@99 | 4@101; join 1 buy 2@99; diff 9@99 |; trade sell 2@99; diff 7@99 |";
        assert_eq!(run_by(model(name), traded), "[1: 2 behind 3]", "{name}");
        let filled = format!("{traded}; trade sell 4@99");
        assert_eq!(run_by(model(name), &filled), "1:1@99 [1: 1 behind 0]", "{name}: what is beyond the queue fills");
    }
}

#[test]
fn a_level_told_again_unchanged_settles_what_traded() {
    // Three traded and three came: nothing was cancelled; the two that go then are.
    let script = "book 5@99 | 4@101; join 1 buy 2@99; trade sell 3@99; diff 5@99 |; diff 3@99 |";
    assert_eq!(run_by(model("power2:1"), script), "[1: 2 behind 1.2]", "2 ahead, 3 behind, 2 go: 2/5 of them ahead");
}

#[test]
fn a_top_moves_the_queue_as_a_diff_does() {
    let script = "book 5@99 | 4@101; join 1 buy 2@99; diff 9@99 |; top 7@99 | 4@101";
    assert!(run_by(model("log"), script).starts_with("[1: 2 behind 3.94639"));
    let gone = "book 5@99 | 4@101; join 1 buy 2@99; top 7@98 | 4@101; trade sell 1@99";
    assert_eq!(run_by(model("log"), gone), "1:1@99 [1: 1 behind 0]", "nothing better than the best: we are alone");
}

#[test]
fn models_share_out_whole_lots() {
    let lot: Qty = "1".parse().unwrap();
    let mut stage = Stage { queue: Queue::new(model("log"), lot), ..Stage::default() };
    for line in ["book 5@99 | 4@101", "join 1 buy 4@99", "diff 9@99 |", "diff 7@99 |", "trade sell 5@99"] {
        stage.tell(line);
    }
    assert_eq!(stage.said, ["1:1@99"], "1.05 lots are one");
}

#[test]
fn a_trade_taken_at_its_word_moves_the_queue_again() {
    let script = "book 5@99 | 4@101; join 1 buy 2@99; top 2@99 | 4@101; trade sell 3@99";
    assert_eq!(run_by(model("risk-averse"), script), "1:1@99 [1: 1 behind 0]");
    let late = MatchingRules { queue: Queueing::Model(QueueModel::Log), ..MatchingRules::default() };
    assert_eq!(run_by(late, script), "[1: 2 behind 2]", "a model's queue waits for late trades too");
}

#[test]
fn in_one_piece_means_when_enough_has_come() {
    let whole = MatchingRules { partial_fills: false, ..MatchingRules::default() };
    let table = [
        ("join 1 buy 3@99; trade sell 6@99", "[1: 3 behind 0]"),
        ("join 1 buy 3@99; trade sell 6@99; trade sell 2@99", "1:3@99"),
        ("join 1 buy 3@99; trade sell 1@98; top 1@98 | 1@99; trade sell 1@98", "1:3@99"),
        ("join 1 buy 3@99; join 2 buy 1@99; trade sell 7@99; trade sell 1.5@99", "1:3@99 [2: 1 behind 0]"),
        ("join 1 buy 3@99; join 2 buy 1@99; trade sell 7@99; trade sell 2@99", "1:3@99 2:1@99"),
        ("join 1 sell 3@101; trade buy 6@101; take buy 2@101 none; trade buy 1@101", "own 1:2@101 1:1@101"),
    ];
    for (script, expected) in table {
        assert_eq!(run_by(whole, &format!("book 5@99 | 4@101; {script}")), expected, "{script}");
    }
}

#[test]
fn volume_that_reached_a_whole_order_is_used_up() {
    let whole = MatchingRules { partial_fills: false, ..MatchingRules::default() };
    let script = "book 5@99 | 4@101; join 1 buy 3@99; join 2 buy 1@98; trade sell 2@97; trade sell 2@97";
    assert_eq!(run_by(whole, script), "1:3@99 2:1@98", "2, then 1 and what is left over");
}
