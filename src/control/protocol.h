#pragma once
// The control protocol: one line of JSON asks, lines of JSON or plain text answer, and the connection closes.
//
//     {"command": "status"}   ->  the status object, one line (README.md)
//     {"command": "metrics"}  ->  Prometheus text
//     {"command": "reload"}   ->  {"ok": true, "text": "..."}; likewise restart, stop and reopen. stop adds
//     "keeper_pid".
//     {"command": "restart", "program": "NAME"}  ->  the same, once NAME's instances have been replaced
//     anything else           ->  {"ok": false, "text": "..."}
#include <chrono>
#include <cstddef>

namespace fivefold::control {

inline constexpr std::size_t kRequestLimit = 4096;      // bytes of a request line
inline constexpr std::size_t kConnections = 16;         // open at once; one more is closed
inline constexpr std::chrono::seconds kRequestTime{5};  // from the connection to the end of its request line
inline constexpr std::chrono::seconds kSilence{10};     // a client that takes no byte of the answer
inline constexpr std::chrono::seconds kKeeperTime{
    90};  // until the keeper has answered: a restart waits for the new server
inline constexpr std::chrono::seconds kProgramTime{
    1800};  // until a program's instances have been replaced: each start and drain has its own limit

}  // namespace fivefold::control
