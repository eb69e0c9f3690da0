//! Tests of the sealed sessions from outside: what the two ends can do with the public interface, and what nobody can.

mod sealing;
