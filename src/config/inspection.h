#pragma once
// What looking at the machine for a configuration needs, whatever it looks for: places, folders, files and accounts.
#include <filesystem>
#include <string>
#include <vector>

#include "config/load.h"

namespace fivefold::config {

// Collects faults. Outlived by the configuration.
class Inspection {
 public:
  explicit Inspection(const Config& config) : config_(config) {}

  const Config& config() const { return config_; }
  // In the order of the file; none are left.
  std::vector<Fault> take();

  void error(const Position& position, std::string message, std::string mend);
  void warning(const Position& position, std::string message, std::string mend);

  // Of the value at `key`; `fallback`, or the whole file, when it was not written.
  Position position(const std::string& key, const Position& fallback = {}) const;
  // Whom folders are to belong to.
  std::string owner() const;

  // Each reports what is wrong, and says whether nothing is. `what` begins the sentence: "the root of program 'p'".
  bool folder(const std::string& path, const Position& where, const std::string& what);
  bool writable_folder(const std::string& path, const Position& where, const std::string& what);
  bool readable_file(const std::string& path, const Position& where, const std::string& what);
  // Only root can become somebody else.
  void accounts(const std::string& user, const std::string& group, const std::string& where, const std::string& key);

 private:
  const Config& config_;
  std::vector<Fault> faults_;
};

bool is_root();
std::string parent_of(const std::string& path);

// Where the programs of `program` are looked for: its own PATH, or the usual one.
std::string search_path_of(const Program& program);

// What keeps an application from being started, its files from being found, and its address from being reached.
void inspect_app(Inspection& inspection, const Program& program);

// What keeps an interpreter from being started, and its scripts from being found.
void inspect_module(Inspection& inspection, const Program& program);

}  // namespace fivefold::config
