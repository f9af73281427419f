#include "environment.h"

namespace fivefold::perl {

namespace {

void put(HV* env, std::string_view name, std::string_view value) {
  SV* text = newSVpvn(value.data(), value.size());
  (void)hv_store(env, name.data(), static_cast<I32>(name.size()), text, 0);
}

}  // namespace

void Environment::start() {
  original_ = environ;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) continue;
    base_.push_back({std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))});
    original_all_.push_back(*one);
  }
  original_all_.push_back(nullptr);
}

// The hash has the magic that makes an assignment by a script a setenv(); while it is filled here, the magic is off.
void Environment::fill(const worker::Request& request) {
  HV* env = GvHVn(PL_envgv);
  const U32 magic = SvFLAGS(env) & (SVs_GMG | SVs_SMG | SVs_RMG);
  SvMAGICAL_off(env);
  hv_clear(env);
  for (const Variable& one : base_) put(env, one.name, one.value);
  for (const worker::Variable& one : request.variables()) put(env, one.name, one.value);
  SvFLAGS(env) |= magic;
}

void Environment::restore() {
  if (environ == original_ && memcmp(environ, original_all_.data(), original_all_.size() * sizeof(char*)) == 0) return;
  environ = original_;
  memcpy(environ, original_all_.data(), original_all_.size() * sizeof(char*));
}

void Environment::become_real() {
  HV* env = GvHV(PL_envgv);
  if (env == nullptr) return;
  auto* all = new std::vector<char*>;  // as long as the process
  hv_iterinit(env);
  while (HE* entry = hv_iternext(env)) {
    STRLEN name_size = 0;
    const char* name = HePV(entry, name_size);
    SV* value = HeVAL(entry);
    if (!SvOK(value)) continue;
    STRLEN size = 0;
    const char* text = SvPV_nomg_const(value, size);
    auto* line = new std::string(name, name_size);
    line->append("=").append(text, size);
    all->push_back(line->data());
  }
  all->push_back(nullptr);
  environ = all->data();
}

}  // namespace fivefold::perl
