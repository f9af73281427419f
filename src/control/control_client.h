#pragma once
// The other end of the control socket: what the commands use.
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace fivefold::control {

// Sends one request and reads the whole answer. Errors are sentences that say what to do: nobody answers there, not
// allowed, no answer in time.
Result<std::string> ask(const std::string& socket_path, const std::string& command, const std::string& program = {});
// The same for commands whose answer is a JSON object.
// `program`, if any, is the one that the command is about.
Result<nlohmann::json> ask_json(const std::string& socket_path, const std::string& command,
                                const std::string& program = {});

}  // namespace fivefold::control
