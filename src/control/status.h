#pragma once
// The state of a running server: as JSON (README.md names the fields), and that JSON as text for people.
#include <nlohmann/json.hpp>
#include <string>

#include "control/server_view.h"

namespace fivefold::control {

nlohmann::json status_json(const ServerView& view);

// What `fivefold status` prints. `now` in unix seconds.
std::string status_text(const nlohmann::json& status, std::int64_t now);

// One picture of `fivefold top`: the same with rates since `before` (null: none yet), `seconds` ago. Cut to `rows`
// lines of `columns` each; 0 is no cut.
std::string top_text(const nlohmann::json& status, const nlohmann::json& before, double seconds, std::int64_t now,
                     std::size_t rows, std::size_t columns);

// "2 h 13 min", "12.3 MB", "1,024": for people.
std::string duration_words(std::int64_t seconds);
std::string size_words(std::uint64_t bytes);
std::string grouped(std::uint64_t number);

}  // namespace fivefold::control
