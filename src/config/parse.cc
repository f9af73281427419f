// The whole file: its tables, and what they say about each other.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "config/load.h"
#include "config/path_pattern.h"
#include "config/program_section.h"
#include "config/route_section.h"
#include "config/schema.h"
#include "config/server_section.h"

namespace fivefold::config {
namespace {

// No setting can have a NUL: to the system it is the end of the text, and what was checked is not what is used.
void refuse_nul(const Node& node, Faults& faults) {
  if (node.text.find('\0') != std::string::npos) faults.error(node.at, "this string has a NUL byte", "remove \\u0000");
  for (const auto& item : node.items) refuse_nul(item, faults);
  for (const auto& entry : node.entries) {
    if (entry.key.find('\0') != std::string::npos) faults.error(entry.at, "this key has a NUL byte", "remove \\u0000");
    refuse_nul(entry.value, faults);
  }
}

// `sound` gets the routes without a fault of their own.
void read_routes(TableReader& root, Config& config, std::vector<Route>& sound, Context& context) {
  const Entry* entry = root.take("route", "array of tables");
  if (!entry) return;
  const Node& value = entry->value;
  if (value.is(Node::Kind::table)) {
    context.faults.error(entry->at, "[route] must be written [[route]]: there may be many, in order",
                         "write [[route]]");
    config.routes.push_back(read_route(value, 0, context));
    return;
  }
  if (!value.is(Node::Kind::array))
    return root.wrong_kind("route", value, "an array of tables", "write [[route]] before the keys of each");
  for (const auto& item : value.items) {
    const auto errors = context.faults.errors();
    if (item.is(Node::Kind::table)) {
      config.routes.push_back(read_route(item, config.routes.size(), context));
      if (context.faults.errors() == errors) sound.push_back(config.routes.back());
    } else {
      context.faults.error(item.at, "a route must be a table, but is " + std::string(kind_text(item.kind)),
                           "write [[route]] before the keys of each");
    }
  }
}

void read_programs(TableReader& root, Config& config, Context& context) {
  const Entry* entry = root.take("program", "tables");
  if (!entry) return;
  if (!entry->value.is(Node::Kind::table))
    return root.wrong_kind("program", entry->value, "a table for each program", "write [program.NAME]");
  for (const auto& program : entry->value.entries) {
    if (program.value.is(Node::Kind::table))
      config.programs.push_back(read_program(program.value, program.key, program.at, context));
    else
      context.faults.error(program.at, "'" + printable(program.key) + "' in [program] is not a program",
                           "write [program.NAME] before the keys of each");
  }
}

// Routes name programs that exist, and programs are named by routes.
void check_references(const Config& config, const Node& root, Faults& faults) {
  std::vector<std::string_view> names;
  for (const auto& program : config.programs) names.push_back(program.name);
  std::set<std::string_view> used;
  const Entry* routes = root.find("route");
  for (std::size_t i = 0, number = 0; routes && i < std::max<std::size_t>(routes->value.items.size(), 1); ++i) {
    const Node* table = routes->value.is(Node::Kind::array)
                            ? (i < routes->value.items.size() ? &routes->value.items[i] : nullptr)
                            : &routes->value;
    if (!table || !table->is(Node::Kind::table)) continue;
    const Route& route = config.routes[number++];
    const Entry* run = table->find("run");
    if (!run || !run->value.is(Node::Kind::string)) continue;
    used.insert(route.run);
    if (std::ranges::find(names, std::string_view(route.run)) != names.end()) continue;
    const auto meant = nearest(route.run, names);
    std::string mend;
    if (!meant.empty())
      mend = "did you mean \"" + std::string(meant) + "\"?";
    else
      mend = is_program_name(route.run) ? "add [program." + route.run + "]" : "name one of the programs";
    faults.error(run->value.at, "there is no program " + quoted(route.run), std::move(mend));
  }
  for (const auto& program : config.programs)
    if (!used.contains(program.name))
      faults.warning({program.position.line, program.position.column},
                     "no route runs program '" + printable(program.name) + "'",
                     "add a [[route]] with run = " + quoted(program.name) + ", or remove the program");
}

// What a syntax error most probably comes from.
std::string syntax_mend(std::string_view message) {
  if (message.find("redefine") != std::string_view::npos)
    return "a table or key of one name may stand once; rename or merge the two";
  return "docs/configuration.md has examples";
}

// Keys at the top of the file that belong in a table.
std::vector<std::pair<std::string_view, std::string>> strays(const std::vector<SectionKeys>& sections) {
  std::vector<std::pair<std::string_view, std::string>> result;
  for (const auto& section : sections)
    for (const auto& key : section.keys) {
      if (section.title.find("listen") == std::string::npos &&
          std::ranges::none_of(result, [&](const auto& other) { return other.first == key.key; }))
        result.emplace_back(key.key, key.type == "table"
                                         ? "write [server." + key.key + "]"
                                         : "it belongs in " + section.title + ", which must stand above it");
    }
  return result;
}

}  // namespace

Loaded parse(std::string_view text, std::string file, std::string directory) {
  Faults faults(file);
  Loaded loaded;
  const auto root = read_document(text);
  if (!root) {
    faults.error(root.error().at, "this is not TOML: " + root.error().message, syntax_mend(root.error().message));
    loaded.faults = faults.take();
    return loaded;
  }
  Config config;
  config.file = std::move(file);
  config.directory = directory;
  Context context{faults, std::move(directory), config.positions};
  refuse_nul(*root, faults);
  TableReader top(*root, "the file", "", context);
  if (const Entry* server = top.take_table("server", "table")) read_server(server->value, config.server, context);
  std::vector<Route> sound;
  read_routes(top, config, sound, context);
  read_programs(top, config, context);
  const bool unknown_at_top = std::ranges::any_of(root->entries, [](const Entry& entry) {
    return entry.key != "server" && entry.key != "route" && entry.key != "program";
  });
  if (unknown_at_top) {
    static const auto sections = schema();
    top.finish(strays(sections));
  }
  check_references(config, *root, faults);
  if (config.routes.empty() && !root->find("route"))
    faults.warning({1, 1}, "there is no [[route]]: every request would be answered with 404",
                   "add one, such as [[route]] with files = \"www\"");
  check_reachable(sound, faults);
  (faults.has_errors() ? loaded.partial : loaded.config) = std::move(config);
  loaded.faults = faults.take();
  return loaded;
}

}  // namespace fivefold::config
