#include "php/execution.h"

#include <unistd.h>

#include <cstring>
#include <ctime>

#include "php/children.h"
#include "php/renewal.h"
#include "php/sapi.h"

namespace fivefold::worker::php {

Deadline deadline;

namespace {

// A script runs in its own folder: relative names count from there. The engine would ask for the current folder, change
// to the script's and back with each request. This process stays in it, as the next script is mostly from there too,
// and goes there anew when a script has called chdir(), and every other second: the path may lead elsewhere now.
constexpr time_t kFolderSeconds = 2;
std::string folder;
time_t entered = 0;
void (*engine_chdir)(INTERNAL_FUNCTION_PARAMETERS) = nullptr;

ZEND_FUNCTION(watched_chdir) {
  folder.clear();
  engine_chdir(INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

void enter_folder(std::string_view script) {
  const std::size_t slash = script.rfind('/');
  if (slash == std::string_view::npos) return;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const std::string_view wanted = script.substr(0, slash == 0 ? 1 : slash);
  if (folder == wanted && now.tv_sec - entered < kFolderSeconds) return;
  folder.assign(wanted);
  entered = now.tv_sec;
  if (chdir(folder.c_str()) != 0) folder.clear();
}

}  // namespace

void watch_folder() {
  SG(options) |= SAPI_OPTION_NO_CHDIR;
  auto* function = static_cast<zend_function*>(zend_hash_str_find_ptr(CG(function_table), "chdir", sizeof "chdir" - 1));
  if (function == nullptr || function->type != ZEND_INTERNAL_FUNCTION) return;
  engine_chdir = function->internal_function.handler;
  function->internal_function.handler = ZEND_FN(watched_chdir);
}

void execute(const char* script) {
  // Outside of a request an error in it would have nowhere to jump to.
  volatile bool started = false;
  enter_folder(script);
  zend_first_try {
    started = php_request_startup() == SUCCESS;
    if (started && !turn.body_broken) {
      zend_file_handle file;
      zend_stream_init_filename(&file, script);
      file.primary_script = true;
      php_execute_script(&file);
      zend_destroy_file_handle(&file);
    }
  }
  zend_end_try();
  // The script's time is over; what follows is bounded by the server.
  deadline.clear();
  end_interrupted();
  php_request_shutdown(nullptr);
  reap_children();
}

}  // namespace fivefold::worker::php
