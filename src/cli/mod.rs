//! What was typed, turned into what can run.
