#include "php/user_ini.h"

#include <ctime>
#include <unordered_map>

#include "php/engine.h"

namespace fivefold::worker::php {

namespace {

constexpr std::size_t kMostFolders = 4096;  // remembered at once

struct Folder {
  HashTable settings;
  time_t read_again = 0;
  bool any = false;
};

struct Hash : std::hash<std::string_view> {
  using is_transparent = void;
};
std::unordered_map<std::string, Folder, Hash, std::equal_to<>> folders;

void read_folder(Folder& folder, std::string_view root, const std::string& path) {
  if (folder.any) {
    zend_hash_clean(&folder.settings);
  } else {
    zend_hash_init(&folder.settings, 8, nullptr, config_zval_dtor, 1);
  }
  folder.any = true;
  static std::string step;
  for (std::size_t end = root.size(); end != std::string::npos;) {
    step.assign(path, 0, end);
    php_parse_user_ini_file(step.c_str(), PG(user_ini_filename), &folder.settings);
    if (end >= path.size()) break;
    end = std::min(path.find('/', end + 1), path.size());
  }
}

}  // namespace

void activate_user_ini(std::string_view document_root, std::string_view script) {
  if (PG(user_ini_filename) == nullptr || *PG(user_ini_filename) == '\0') return;
  const std::size_t slash = script.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return;
  const std::string_view path = script.substr(0, slash);
  while (document_root.ends_with('/')) document_root.remove_suffix(1);
  // A script elsewhere has its own folder's file alone.
  const bool below =
      path.starts_with(document_root) && (path.size() == document_root.size() || path[document_root.size()] == '/');
  if (!below) document_root = path;

  auto found = folders.find(path);
  if (found == folders.end()) {
    if (folders.size() >= kMostFolders) return;
    found = folders.emplace(path, Folder{}).first;
  }
  Folder& folder = found->second;
  const time_t now = std::time(nullptr);
  if (now >= folder.read_again) {
    read_folder(folder, document_root, found->first);
    folder.read_again = now + static_cast<time_t>(PG(user_ini_cache_ttl));
  }
  if (zend_hash_num_elements(&folder.settings) > 0)
    php_ini_activate_config(&folder.settings, PHP_INI_PERDIR, PHP_INI_STAGE_HTACCESS);
}

}  // namespace fivefold::worker::php
