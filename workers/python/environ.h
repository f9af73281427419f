#pragma once
// The environ of a WSGI request: a dict from the CGI variables of the channel.
//
// Most requests of a worker have the same variables with mostly the same values. A template is the dict of an earlier
// request with the same names in the same order: it is copied in one step, and only what differs is set.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "channel/request.h"
#include "python_object.h"

namespace fivefold::python {

class Environ {
 public:
  static constexpr std::size_t kMostTemplates = 8;
  static constexpr std::size_t kMostVariables = 64;  // of a request that becomes a template
  static constexpr std::size_t kMostKept = 128;      // bytes of a value that a template keeps

  // `base` holds what is the same for every request ("wsgi.version" and so on). Shared.
  explicit Environ(PyObject* base);

  // A new dict. Null with an exception set when there is no memory.
  Ref build(std::span<const worker::Variable> variables);

 private:
  struct Slot {
    std::string name;
    Ref key;
    Ref value;  // null: never kept, always set
  };
  struct Template {
    std::vector<Slot> slots;
    Ref dict;
  };

  Ref from(const Template& known, std::span<const worker::Variable> variables) const;
  Ref from_nothing(std::span<const worker::Variable> variables);

  Ref base_, scheme_key_, http_, https_;
  std::vector<Template> templates_;  // the one used last is first
};

}  // namespace fivefold::python
