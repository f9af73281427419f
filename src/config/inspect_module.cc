// What only the machine can tell about a program that runs in the server's own workers.
#include <unistd.h>

#include "base/text.h"
#include "config/inspection.h"
#include "config/module_section.h"
#include "config/worker_executable.h"

namespace fivefold::config {

void inspect_module(Inspection& inspection, const Program& program) {
  const Module& module = program.module;
  const auto name = "program '" + program.name + "'";
  const auto at = [&](const std::string& key) {
    return inspection.position("program." + program.name + "." + key, program.position);
  };
  if (worker_executable(module.language).empty())
    inspection.error(at("language"),
                     "the worker for " + std::string(written_name(module.language)) + ", fivefold-" +
                         std::string(name_of(module.language)) + ", is not installed: " + name + " cannot run",
                     worker_mend(module.language));
  if (!module.root.empty()) inspection.folder(module.root, at("root"), "the root of " + name);
  if (!module.xsendfile_root.empty())
    inspection.folder(module.xsendfile_root, at("xsendfile_root"), "the xsendfile_root of " + name);
  for (const auto& [key, path] :
       {std::pair("script", module.script), std::pair("psgi", module.psgi), std::pair("worker", module.worker)})
    if (!path.empty()) inspection.readable_file(path, at(key), "the " + std::string(key) + " of " + name);
  // Perl's are names of modules or files; PHP's is a file.
  if (module.language == Language::php)
    for (const auto& file : module.preload) inspection.readable_file(file, at("preload"), "the preload of " + name);
  for (const auto& folder : module.path) inspection.folder(folder, at("path"), "a path of " + name);
  if (!module.venv.empty() && inspection.folder(module.venv, at("venv"), "the venv of " + name) &&
      ::access((module.venv + "/pyvenv.cfg").c_str(), R_OK) != 0)
    inspection.error(at("venv"), printable(module.venv, 400) + " is no virtual environment: it has no pyvenv.cfg",
                     "python3 -m venv " + printable(module.venv, 400));
}

}  // namespace fivefold::config
