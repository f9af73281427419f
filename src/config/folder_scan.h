#pragma once
// What lies in a folder, by kind: one walk, nothing executed.
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/application_folder.h"

namespace fivefold::config {

inline constexpr std::size_t kMostScanned =
    100'000;  // entries looked at; what lies beyond is not listed, but guarded all the same
inline constexpr int kDeepestScan = 32;

struct FolderScan {
  std::vector<std::string> cgi_folders;    // relative paths of every folder named cgi-bin, outermost first
  std::vector<std::string> cgi_bin_files;  // relative paths of the files in them
  std::vector<std::string> cgi_files;      // *.cgi elsewhere
  std::set<std::string> cgi_suffixes;      // as they are spelt: ".cgi", ".CGI"
  std::map<std::string, std::size_t> php;  // files by suffix as spelt: ".php", ".PHP", ".phtml"
  std::vector<std::string> wars;           // *.war outside applications
  std::set<std::string> war_suffixes;
  std::vector<std::string> functions;           // NAME of functions/NAME/
  std::vector<ApplicationFolder> applications;  // not descended into
  std::vector<std::string> environments;        // virtual environments of Python: not descended into, and not sent
  std::size_t files = 0;                        // everything else that would be sent
  bool complete = true;                         // false: kMostScanned or kDeepestScan was met
};

// Names that begin with a dot are left out, as they are never sent; symbolic links to folders are not followed.
FolderScan scan_folder(const std::string& directory);

}  // namespace fivefold::config
