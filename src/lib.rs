//! Admit
