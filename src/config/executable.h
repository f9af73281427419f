#pragma once
// What kind of program a file is, and what keeps it from being executed.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/table_reader.h"

namespace fivefold::config {

// Where programs are looked for when neither the #! line nor `env` says a path.
inline constexpr std::string_view kSearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Executable {
  enum class Kind : std::uint8_t { elf, script, other, unreadable };
  Kind kind = Kind::other;
  bool regular = false;
  bool execute_bit = false;
  std::string interpreter = {};  // script: the path of its #! line, or the name that env(1) is to look for
  bool by_env = false;           // "#!/usr/bin/env perl"
  bool carriage_return = false;  // the #! line ends in CR: the kernel takes it for part of the name
};

// Reads the first bytes of the file.
Executable look_at(const std::string& path);

// "Perl", "shell", "Python", "ELF", ...; empty for what is none of them.
std::string kind_name(const Executable& executable);

// The first file `name` with an execute bit in the folders of `search_path`; empty when there is none. A name with a
// slash is looked at as it stands.
std::string find_program(std::string_view name, std::string_view search_path = kSearchPath);

// "apt install perl", where the package of the interpreter is known; else "install X, or " and `otherwise`.
std::string install_mend(std::string_view interpreter, std::string_view otherwise = "name another interpreter");

// What keeps the file at `path` from being executed; an empty message: nothing that can be told from outside.
// With `interpreted` it is an interpreter's to read: neither execute bit nor #! line matters.
Complaint what_is_missing(const std::string& path, const Executable& executable, bool interpreted,
                          std::string_view search_path = kSearchPath);

}  // namespace fivefold::config
