#include "config/cgi_section.h"

#include "base/text.h"
#include "config/file_name_checks.h"

namespace fivefold::config {
namespace {

constexpr std::uint32_t kMostProcesses = 1'000'000;
constexpr std::uint64_t kMostHead = 16 * 1024 * 1024;
constexpr std::uint64_t kMostBodyMemory = 1ull << 30;

Complaint check_cgi_extension(std::string_view text) {
  if (text.find('/') != std::string_view::npos || text.find('*') != std::string_view::npos)
    return {"not an extension", "write \".cgi\""};
  if (!text.starts_with('.') || text.size() < 2)
    return {"an extension begins with a dot", "write \"." + printable(text) + "\""};
  return {};
}

Complaint check_word(std::string_view word) {
  if (word.empty()) return {"an empty word", "leave it out"};
  return {};
}

void read_interpreter(TableReader& reader, Cgi& cgi) {
  reader.texts("interpreter", cgi.interpreter, check_word);
  const Entry* entry = reader.table().find("interpreter");
  if (!entry || cgi.interpreter.empty()) return;
  auto& command = cgi.interpreter.front();
  if (entry->value.is(Node::Kind::string) && command.find(' ') != std::string::npos)
    reader.context().faults.error(
        entry->value.at, reader.name("interpreter") + " is one word with a space in it: no shell takes it apart",
        "write an array of words, such as [\"php-cgi\", \"-q\"]");
  if (command.find('/') != std::string::npos) command = absolute_path(command, reader.context().directory);
}

// The key of model = "module", so that a program changes its model by one word.
void read_language(TableReader& reader, Cgi& cgi) {
  Language language = Language::perl;
  reader.choice("language", language, {{"php", Language::php}, {"perl", Language::perl}, {"python", Language::python}});
  reader.has_no_default();
  if (!reader.table().find("language") || language != Language::php) return;
  if (cgi.interpreter.empty()) cgi.interpreter = {"php-cgi"};
  if (cgi.root.empty()) return;
  if (cgi.extensions.empty()) cgi.extensions = {".php"};
  if (cgi.index.empty()) cgi.index = {"index.php"};
}

}  // namespace

void read_cgi(TableReader& reader, Cgi& cgi) {
  reader.path("root", cgi.root);
  reader.path("script", cgi.script);
  reader.texts("extensions", cgi.extensions, check_cgi_extension);
  read_interpreter(reader, cgi);
  reader.texts("index", cgi.index, check_index);
  read_language(reader, cgi);
  reader.duration("first_byte_timeout", cgi.first_byte_timeout);
  reader.duration("idle_timeout", cgi.idle_timeout);
  reader.duration("stop_grace", cgi.stop_grace, kNoTime);
  reader.duration("linger", cgi.linger, kNoTime);
  reader.number("concurrency", cgi.concurrency, {0, kMostProcesses});
  reader.size("body_memory", cgi.body_memory, {0, kMostBodyMemory});
  reader.size("output_head", cgi.output_head, {64, kMostHead});
  reader.boolean("index_query", cgi.index_query);
  reader.choice("nph", cgi.nph, {{"reframe", Nph::reframe}, {"off", Nph::off}});
  reader.choice("on_disconnect", cgi.on_disconnect,
                {{"stop", OnDisconnect::stop}, {"continue", OnDisconnect::continue_}});
  reader.boolean("pass_authorization", cgi.pass_authorization);
  reader.path("xsendfile_root", cgi.xsendfile_root);
}

void check_cgi(const Node& table, const Program& program, Context& context) {
  const Entry* root = table.find("root");
  const Entry* script = table.find("script");
  const auto name = "program '" + printable(program.name) + "'";
  if (root && script) {
    context.faults.error(std::max(root->at, script->at), name + " has both 'root' and 'script'",
                         "keep 'root' for a folder of scripts, or 'script' for one program that answers everything");
  } else if (!root && !script) {
    context.faults.error(table.at, name + " has neither 'root' nor 'script'",
                         "add root = \"cgi-bin\" for a folder of scripts, or script = \"hello.cgi\" for one program");
  } else if (script) {
    for (const std::string_view key : {"extensions", "index"})
      if (const Entry* entry = table.find(key))
        context.faults.error(entry->at, "'" + std::string(key) + "' goes with 'root', but " + name + " has 'script'",
                             "remove it");
  }
}

const std::vector<std::string_view>& cgi_keys() {
  // Without "language": whoever writes it under a third model means "module".
  static const std::vector<std::string_view> keys = {
      "root",         "script",     "extensions",    "interpreter",        "index",         "first_byte_timeout",
      "idle_timeout", "stop_grace", "linger",        "concurrency",        "body_memory",   "output_head",
      "index_query",  "nph",        "on_disconnect", "pass_authorization", "xsendfile_root"};
  return keys;
}

}  // namespace fivefold::config
