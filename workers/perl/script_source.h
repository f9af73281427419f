#pragma once
// The text of a CGI script, made ready to be compiled as a subroutine: bytes in, bytes out.
#include <optional>
#include <string>
#include <string_view>

namespace fivefold::perl {

struct ScriptSource {
  std::string code;                 // without the data section; as many lines as the file has up to it
  std::optional<std::string> data;  // what follows __DATA__ or __END__
  bool warnings = false;            // -w in the line #!
  bool newlines = false;            // -l: print ends lines
  bool unicode[3] = {};             // -C: STDIN, STDOUT, STDERR are UTF-8
  bool taint = false;               // -T or -t in the line #!
  bool utf8 = false;                // it says `use utf8`, so its data is decoded too
  bool names_main = false;          // it spells out its package: main::x, $::x
};

// `package` takes the place of `main` where the script returns to it (`package main;`).
ScriptSource read_script(std::string_view text, std::string_view package);

// "Fivefold::Script::n7_srv_2fwww_2fa_2ecgi": a package for the file `path`. `number` tells versions apart.
std::string package_of(std::string_view path, unsigned number);

// The whole text to compile: a subroutine `run` of `package`, whose lines are numbered as those of `path`.
std::string wrap_script(const ScriptSource& source, std::string_view package, std::string_view path);

// The name of the subroutine that wrap_script() makes.
inline constexpr std::string_view kRun = "__fivefold_run";

}  // namespace fivefold::perl
