#include "config/folder_scan.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/text.h"

namespace fivefold::config {
namespace {

namespace fs = std::filesystem;

std::string joined(const std::string& folder, const std::string& name) {
  if (folder.empty() || name.empty()) return folder + name;
  return folder + "/" + name;
}

std::string suffix_of(const std::string& name) {
  const auto dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? std::string() : name.substr(dot);
}

bool is_php(std::string_view lower) {
  constexpr std::array<std::string_view, 10> kSuffixes = {".php",  ".phtml", ".pht",  ".phps", ".php3",
                                                          ".php4", ".php5",  ".php7", ".php8", ".phar"};
  return std::ranges::find(kSuffixes, lower) != kSuffixes.end();
}

class Scan {
 public:
  explicit Scan(const std::string& directory) : directory_(directory) {}

  FolderScan run() {
    visit("", 0, Place::outside);
    std::ranges::sort(result_.cgi_bin_files);
    std::ranges::sort(result_.cgi_files);
    return std::move(result_);
  }

 private:
  // `guarded`: in an application or a function, of which nothing is sent. Programs at its top, in cgi-bin or *.cgi, run
  // all the same.
  enum class Place { outside, cgi_bin, guarded };

  std::vector<fs::directory_entry> entries_of(const std::string& folder) {
    std::vector<fs::directory_entry> entries;
    std::error_code why;
    for (fs::directory_iterator entry(joined(directory_, folder), why); !why && entry != fs::directory_iterator();
         entry.increment(why)) {
      if (entry->path().filename().string().starts_with('.')) continue;
      if (++scanned_ > kMostScanned) {
        result_.complete = false;
        break;
      }
      entries.push_back(*entry);
    }
    std::ranges::sort(entries);
    return entries;
  }

  void visit(const std::string& folder, int depth, Place place) {
    if (depth > kDeepestScan || scanned_ > kMostScanned) {
      result_.complete = false;
      return;
    }
    const auto entries = entries_of(folder);
    if (place == Place::outside) {
      std::vector<std::string> names;
      for (const auto& entry : entries) names.push_back(entry.path().filename().string());
      if (auto application = application_in(joined(directory_, folder), folder, names)) {
        result_.applications.push_back(std::move(*application));
        // An application in a folder has it whole. One at the top leaves the places of programs to them.
        if (!folder.empty()) return;
        place = Place::guarded;
      }
    }
    std::error_code why;
    for (const auto& entry : entries) {
      const auto name = entry.path().filename().string();
      const auto path = joined(folder, name);
      if (entry.is_directory(why)) {
        if (entry.is_symlink(why)) continue;
        enter(path, name, depth, place);
      } else if (entry.is_regular_file(why)) {
        take(path, name, place);
      }
    }
  }

  void enter(const std::string& path, const std::string& name, int depth, Place place) {
    if (path == "functions") {
      std::error_code why;
      for (const auto& entry : entries_of(path))
        if (entry.is_directory(why)) result_.functions.push_back(entry.path().filename().string());
      return;
    }
    if (name == "node_modules") {
      result_.complete = false;
      return;
    }
    std::error_code why;
    if (fs::exists(joined(directory_, path) + "/pyvenv.cfg", why)) {
      result_.environments.push_back(path);
      return;
    }
    if (place != Place::cgi_bin && name == "cgi-bin") {
      result_.cgi_folders.push_back(path);
      return visit(path, depth + 1, Place::cgi_bin);
    }
    visit(path, depth + 1, place);
  }

  void take(const std::string& path, const std::string& name, Place place) {
    if (place == Place::cgi_bin) {
      result_.cgi_bin_files.push_back(path);
      return;
    }
    const auto suffix = suffix_of(name);
    const auto lower = to_lower(suffix);
    if (lower == ".cgi") {
      result_.cgi_files.push_back(path);
      result_.cgi_suffixes.insert(suffix);
    } else if (is_php(lower)) {
      ++result_.php[suffix];
    } else if (lower == ".war") {
      if (place == Place::outside) result_.wars.push_back(path);
      result_.war_suffixes.insert(suffix);
    } else if (place == Place::outside) {
      ++result_.files;
    }
  }

  const std::string& directory_;
  FolderScan result_;
  std::size_t scanned_ = 0;
};

}  // namespace

FolderScan scan_folder(const std::string& directory) { return Scan(directory).run(); }

}  // namespace fivefold::config
