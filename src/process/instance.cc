#include "process/instance.h"

namespace fivefold::process {

std::string_view name_of(InstanceState state) {
  switch (state) {
    case InstanceState::starting:
      return "starting";
    case InstanceState::ready:
      return "ready";
    case InstanceState::ejected:
      return "ejected";
    case InstanceState::draining:
      return "draining";
    case InstanceState::stopping:
      return "stopping";
    case InstanceState::failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace fivefold::process
