#include "php/ini.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "php/engine.h"

namespace fivefold::worker::php {

namespace {

namespace fs = std::filesystem;

// Debian has a folder for each kind of PHP. Ours is "embed", which holds the extensions as soon as the library is
// installed; a machine that was set up for another kind has them there.
void choose_folder() {
  if (std::getenv("PHPRC") != nullptr || std::getenv("PHP_INI_SCAN_DIR") != nullptr) return;
  const std::string base = "/etc/php/" + std::to_string(PHP_MAJOR_VERSION) + "." + std::to_string(PHP_MINOR_VERSION);
  std::error_code ignored;
  for (const char* kind : {"embed", "fpm", "apache2", "cli"}) {
    const fs::path folder = fs::path(base) / kind;
    if (fs::is_empty(folder / "conf.d", ignored) || ignored) {
      ignored.clear();
      continue;
    }
    if (std::string_view(kind) == "embed") return;  // compiled into the library
    sapi_module.php_ini_path_override = strdup(folder.c_str());
    setenv("PHP_INI_SCAN_DIR", (folder / "conf.d").c_str(), 1);
    return;
  }
}

struct Pair {
  std::string name;
  std::string value;
};

std::expected<Pair, std::string> split(const std::string& word, std::string_view key) {
  const std::size_t equals = word.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return std::unexpected("\"" + word + "\" is no setting of PHP; " + std::string(key) + " wants NAME=VALUE.");
  }
  return Pair{word.substr(0, equals), word.substr(equals + 1)};
}

}  // namespace

std::string ini_line(std::string_view name, std::string_view value) {
  if (value.find_first_of("\n\r") != std::string_view::npos || value.find('\0') != std::string_view::npos) return {};
  if (name.find_first_of("\n\r=[];'\"") != std::string_view::npos) return {};
  std::string line = std::string(name) + "=";
  if (value.starts_with("E_") &&
      value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789&|~^!() ") == std::string_view::npos) {
    return line.append(value).append("\n");
  }
  if (value.find('\'') == std::string_view::npos) return line.append("'").append(value).append("'\n");
  line += '"';
  for (char letter : value) {
    if (letter == '"' || letter == '\\' || letter == '$') line += '\\';
    line += letter;
  }
  return line.append("\"\n");
}

std::expected<std::string, std::string> prepare_ini(const Settings& settings) {
  choose_folder();
  std::string lines;
  for (const char* key : {"ini", "admin"}) {
    for (const std::string& word : settings.all(key)) {
      const auto pair = split(word, key);
      if (!pair) return std::unexpected(pair.error());
      const std::string line = ini_line(pair->name, pair->value);
      if (line.empty())
        return std::unexpected("The setting " + pair->name +
                               " of PHP has a value that cannot be written in a php.ini.");
      lines += line;
    }
  }
  if (settings.has("preload")) {
    lines += ini_line("opcache.preload", settings.one("preload"));
    // The engine asks for the name even of a root that stays root.
    if (geteuid() == 0) lines += ini_line("opcache.preload_user", "root");
  }
  return lines;
}

void lock_admin_settings(const Settings& settings) {
  for (const std::string& word : settings.all("admin")) {
    const auto pair = split(word, "admin");
    if (!pair) continue;
    auto* entry =
        static_cast<zend_ini_entry*>(zend_hash_str_find_ptr(EG(ini_directives), pair->name.data(), pair->name.size()));
    if (entry != nullptr) {
      entry->modifiable = ZEND_INI_SYSTEM;
    } else if (pair->name != "extension" && pair->name != "zend_extension") {
      std::fprintf(stderr, "PHP has no setting %s; an extension may be missing.\n", pair->name.c_str());
    }
  }
}

}  // namespace fivefold::worker::php
