#pragma once
// One CGI script, compiled.
#include <sys/stat.h>

#include <expected>

#include "globals.h"
#include "handle_setup.h"
#include "lexicals.h"
#include "perl_api.h"

namespace fivefold::perl {

// What tells one version of a file from another.
struct FileVersion {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  timespec modified{};
  static FileVersion of(const struct stat& file);
  bool operator==(const FileVersion& other) const;
};

class Script {
 public:
  // Reads and compiles the file; its BEGIN blocks and `use` lines run. The current folder is the script's. The error is
  // what perl says. `main_free`: no other script lives in the package main.
  static std::expected<std::unique_ptr<Script>, std::string> compile(const std::string& path, FileVersion version,
                                                                     Globals& globals, bool main_free);
  ~Script();

  const FileVersion& version() const { return version_; }
  const std::string& path() const { return path_; }
  // What its BEGIN blocks have printed: each response begins with it.
  std::string printed;

  const std::string& folder() const { return folder_; }
  bool in_main() const { return package_ == "main"; }
  CV* top() const { return top_; }
  ScriptGlobals& globals() { return globals_; }
  const HandleSetup& handles() const { return handles_; }

  // Before each run: fresh variables, the data section from its beginning.
  void begin();
  // Its END blocks, the last one first. They are called by the caller, one by one: any may exit.
  std::span<CV* const> ends() const { return ends_; }
  // END blocks that the run itself has made, by eval of a text, are run with them, once.
  void take_ends();
  // After the END blocks.
  void after();
  // Files and folders that its run has opened under names of its package, and locks on them: the end of a process would
  // have closed them.
  void close_files();

 private:
  std::string path_;
  std::string folder_;
  std::string package_;
  FileVersion version_;
  CV* top_ = nullptr;
  std::optional<std::string> data_;
  SV* data_text_ = nullptr;
  bool utf8_ = false;
  std::vector<const GV*> kept_open_;  // handles that its BEGIN blocks have opened
  std::vector<CV*> ends_;
  std::size_t of_texts_ = 0;  // the first so many of them are of evals
  Lexicals lexicals_;
  ScriptGlobals globals_;
  HandleSetup handles_;
};

}  // namespace fivefold::perl
