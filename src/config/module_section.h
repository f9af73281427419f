#pragma once
// The keys of a [program.NAME] with model = "module".
#include <string_view>
#include <vector>

#include "config/server_section.h"
#include "config/table_reader.h"

namespace fivefold::config {

// `describe`: only the keys are wanted.
void read_module(TableReader& reader, Module& module, bool describe = false);

// What only the keys together tell: what answers, and the keys that go with another language.
void check_module(const Node& table, const Program& program, Context& context);

// The names of these keys.
const std::vector<std::string_view>& module_keys();

// Requests that a worker gets at once.
std::uint32_t requests_at_once(const Module& module);
// Whether they go to it by stream, several on a channel (gateway/worker_protocol.h).
inline bool takes_streams(const Module& module) { return !module.asgi.empty() || module.threads > 1; }

// The first key of an application in the server's own workers ("wsgi", "asgi", "psgi") in `table`; null: it has none.
const Entry* interface_of(const Node& table);

std::string_view name_of(Language language);       // "php"
std::string_view written_name(Language language);  // "PHP"

// Whether `path` lies beneath the folder it is taken from: not empty, no "..", no slash in front.
bool is_beneath(std::string_view path);

}  // namespace fivefold::config
