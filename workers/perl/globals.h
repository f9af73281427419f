#pragma once
// The variables of the interpreter that a script finds as in a fresh process: $/ $\ $, $" $; %SIG @INC %INC $0 $^W ...
#include "perl_api.h"

namespace fivefold::perl {

// What belongs to one script between its requests.
struct ScriptGlobals {
  SV* warn_hook = nullptr;  // $SIG{__WARN__} and $SIG{__DIE__} as its `use` lines left them
  SV* die_hook = nullptr;
  CV* format = nullptr;  // of STDOUT
  CV* format_top = nullptr;
  // As the `use` lines and BEGIN blocks left them: handlers of signals by their numbers, and what of $/ $\ $, $" is not
  // as it always is, by its name.
  std::vector<std::pair<int, SV*>> signals;
  std::vector<std::pair<const char*, SV*>> separators;
  std::vector<std::string> inc;                            // @INC
  std::vector<std::pair<std::string, SV*>> own_libraries;  // entries of %INC that are no modules
  U32 evals = 0;                                           // texts that were compiled with it: they are numbered
  IV fatals_to_browser = 0;                                // $CGI::Carp::WRAP, which a `use` line sets
  bool warnings = false;                                   // -w
};

class Globals {
 public:
  // Once, before scripts are compiled.
  void start();
  // Before and after a script is compiled.
  void begin_compilation(const std::string& path, bool warnings);
  void end_compilation(ScriptGlobals& script);
  // Before and after a request.
  void begin(const std::string& path, ScriptGlobals& script);
  void end(ScriptGlobals& script);

 private:
  void set_inc(const std::vector<std::string>& folders);
  void set_name(const std::string& path);
  void take_libraries(ScriptGlobals& script);
  void reset_separators();

  HV* loaded_ = nullptr;          // %INC
  AV* folders_ = nullptr;         // @INC
  GV* list_separator_ = nullptr;  // $"
  GV* key_separator_ = nullptr;   // $;
  GV* name_gv_ = nullptr;
  SV* name_ = nullptr;    // $0, without the magic that renames the process
  SV* filter_ = nullptr;  // of warnings, while a script is compiled
  GV* format_ = nullptr;
  GV* format_top_ = nullptr;
  U32 evals_ = 0;
  std::vector<std::string> inc_;
  const ScriptGlobals* last_ = nullptr;
  std::size_t libraries_ = 0;  // entries of %INC that were looked at
};

}  // namespace fivefold::perl
