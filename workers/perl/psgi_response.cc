#include "psgi_response.h"

#include <memory>

#include "guard.h"

namespace fivefold::perl {

namespace {

PsgiResponse* current = nullptr;

bool is_list(SV* value) { return value != nullptr && SvROK(value) && SvTYPE(SvRV(value)) == SVt_PVAV; }

// Objects whose list is an implementation's detail are handles: "getline" decides.
bool has_getline(SV* value) {
  if (!SvROK(value)) return false;
  if (!sv_isobject(value)) return isGV_with_GP(SvRV(value)) || SvTYPE(SvRV(value)) == SVt_PVIO;
  return gv_fetchmethod_autoload(SvSTASH(SvRV(value)), "getline", FALSE) != nullptr;
}

bool is_plain_list(SV* value) { return is_list(value) && !sv_isobject(value); }

// A copy that is bytes; dies when there are characters that are none.
SV* check_bytes(SV* value) {
  SV* bytes = sv_mortalcopy(value);
  if (!sv_utf8_downgrade(bytes, TRUE)) Perl_croak(aTHX_ "Wide character in the body of the response: encode it");
  return bytes;
}

bool is_token(std::string_view name) {
  for (char c : name) {
    if (!isALNUMC(c) && strchr("!#$%&'*+-.^_`|~", c) == nullptr) return false;
  }
  return !name.empty();
}

bool is_clean(std::string_view value) {
  for (char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return true;
}

SV* element(AV* list, SSize_t place) {
  SV** found = av_fetch(list, place, 0);
  if (found == nullptr) return &PL_sv_undef;
  SvGETMAGIC(*found);
  return *found;
}

}  // namespace

void PsgiResponse::start() {
  current = this;
  respond_ = newXS("Fivefold::Psgi::respond", &PsgiResponse::respond, __FILE__);
  informational_ = newXS("Fivefold::Psgi::inform", &PsgiResponse::inform, __FILE__);
  newXS("Fivefold::Writer::write", &PsgiResponse::write, __FILE__);
  newXS("Fivefold::Writer::close", &PsgiResponse::close, __FILE__);
  writer_ = gv_stashpvs("Fivefold::Writer", GV_ADD);
}

void PsgiResponse::begin(worker::Request& request) {
  request_ = &request;
  ++serial_;
  responded_ = writing_ = bodiless_ = false;
}

void PsgiResponse::take(SV* returned) {
  if (!SvROK(returned) || SvTYPE(SvRV(returned)) != SVt_PVCV) {
    answer(returned, false);
    return;
  }
  dSP;
  ENTER;
  SAVETMPS;
  PUSHMARK(SP);
  XPUSHs(sv_2mortal(newRV_inc(reinterpret_cast<SV*>(respond_))));
  PUTBACK;
  call_sv(returned, G_VOID | G_DISCARD);
  FREETMPS;
  LEAVE;
  if (!responded_) Perl_croak(aTHX_ "The application returned a subroutine that did not call its responder");
}

SV* PsgiResponse::answer(SV* response, bool may_write) {
  if (responded_) Perl_croak(aTHX_ "The application has answered already");
  if (!is_list(response))
    Perl_croak(aTHX_ "The application returned %" SVf " instead of [status, headers, body]", response);
  AV* parts = reinterpret_cast<AV*>(SvRV(response));
  const SSize_t count = static_cast<SSize_t>(av_count(parts));
  if (count != 3 && !(may_write && count == 2))
    Perl_croak(aTHX_ "The application returned a list of %d elements instead of [status, headers, body]",
               static_cast<int>(count));
  if (count == 3) check_body(element(parts, 2));
  make_head(element(parts, 0), element(parts, 1));
  responded_ = true;
  request_->head(head_);
  if (count == 3) {
    send_body(element(parts, 2));
    return nullptr;
  }
  writing_ = true;
  return sv_bless(newRV_noinc(newSViv(serial_)), writer_);
}

void PsgiResponse::make_head(SV* status, SV* headers) {
  const IV number = SvOK(status) ? SvIV(status) : 0;
  if (number < 100 || number > 999)
    Perl_croak(aTHX_ "The application's status \"%" SVf "\" is no number from 100 to 999", status);
  if (!is_list(headers)) Perl_croak(aTHX_ "The application's headers are no list");
  bodiless_ = request_->head_only() || number < 200 || number == 204 || number == 304;
  const bool unlike_body = number < 200 || number == 204 || number == 304;
  head_.assign("Status: ").append(std::to_string(number)).append("\r\n");
  AV* list = reinterpret_cast<AV*>(SvRV(headers));
  const SSize_t count = static_cast<SSize_t>(av_count(list));
  if (count % 2 != 0)
    Perl_croak(aTHX_ "The application's headers are a list of %d elements, not pairs", static_cast<int>(count));
  for (SSize_t i = 0; i < count; i += 2) {
    SV* name = element(list, i);
    SV* value = element(list, i + 1);
    const std::string_view field = bytes_of(name);
    std::string_view text = SvOK(value) ? bytes_of(value) : std::string_view();
    if (!is_token(field) || (field.size() == 6 && strncasecmp(field.data(), "status", 6) == 0))
      Perl_croak(aTHX_ "The application's header \"%" SVf "\" is no name of a header", name);
    if (SvUTF8(value)) {
      SV* bytes = sv_mortalcopy(value);
      if (!sv_utf8_downgrade(bytes, TRUE)) Perl_croak(aTHX_ "Wide character in the value of the header %" SVf, name);
      text = bytes_of(bytes);
    }
    if (!is_clean(text))
      Perl_croak(aTHX_ "The value of the application's header %" SVf " has a line break or another control character",
                 name);
    if (unlike_body && field.size() == 14 && number != 304 && strncasecmp(field.data(), "content-length", 14) == 0)
      continue;
    head_.append(field).append(": ").append(text).append("\r\n");
  }
}

// What can be known of a body before the head leaves.
void PsgiResponse::check_body(SV* body) {
  if (!is_plain_list(body)) {
    if (!has_getline(body) && !is_list(body))
      Perl_croak(aTHX_ "The application's body is neither a list nor a handle with getline and close");
    return;
  }
  AV* pieces = reinterpret_cast<AV*>(SvRV(body));
  const SSize_t count = static_cast<SSize_t>(av_count(pieces));
  for (SSize_t i = 0; i < count; ++i) {
    SV** piece = av_fetch(pieces, i, 0);
    if (piece != nullptr && SvUTF8(*piece)) check_bytes(*piece);
  }
}

void PsgiResponse::send_body(SV* body) {
  if (is_plain_list(body) || !has_getline(body)) {
    send_list(reinterpret_cast<AV*>(SvRV(body)));
  } else {
    send_handle(body);
  }
}

void PsgiResponse::send(SV* piece) {
  SvGETMAGIC(piece);
  if (!SvOK(piece)) return;
  if (SvUTF8(piece)) piece = check_bytes(piece);
  const std::string_view bytes = bytes_of(piece);
  if (!bodiless_) request_->write(bytes);
}

void PsgiResponse::send_list(AV* pieces) {
  const SSize_t count = static_cast<SSize_t>(av_count(pieces));
  for (SSize_t i = 0; i < count; ++i) {
    SV** piece = av_fetch(pieces, i, 0);
    if (piece != nullptr) send(*piece);
  }
}

// An ordinary handle, whose getline is Perl's: read in large pieces without a call for each.
bool PsgiResponse::send_file(SV* handle) {
  if (sv_isobject(handle)) {
    GV* method = gv_fetchmethod_autoload(SvSTASH(SvRV(handle)), "getline", FALSE);
    CV* ordinary = get_cv("IO::Handle::getline", 0);
    if (method == nullptr || ordinary == nullptr || GvCV(method) != ordinary) return false;
  }
  SV* value = SvRV(handle);
  IO* io = SvTYPE(value) == SVt_PVIO ? reinterpret_cast<IO*>(value)
           : isGV_with_GP(value)     ? GvIO(reinterpret_cast<GV*>(value))
                                     : nullptr;
  if (io == nullptr || SvMAGICAL(io) || IoIFP(io) == nullptr || PerlIO_isutf8(IoIFP(io))) return false;
  SV* piece = sv_2mortal(newSV(kPiece + 1));
  while (!bodiless_) {
    const SSize_t got = PerlIO_read(IoIFP(io), SvPVX(piece), kPiece);
    if (got < 0) Perl_croak(aTHX_ "The file that is the body of the response could not be read: %s", Strerror(errno));
    if (got == 0 || !request_->write({SvPVX(piece), static_cast<std::size_t>(got)})) break;
    PERL_ASYNC_CHECK();
  }
  return true;
}

void PsgiResponse::send_handle(SV* handle) {
  if (!send_file(handle) && !bodiless_) {
    ENTER;
    SV* separator = save_scalar(gv_fetchpvs("/", GV_ADD, SVt_PV));  // local $/ = \65536
    sv_setsv_mg(separator, sv_2mortal(newRV_noinc(newSViv(kPiece))));
    bool more = true;
    while (more) {
      dSP;
      ENTER;
      SAVETMPS;
      PUSHMARK(SP);
      XPUSHs(handle);
      PUTBACK;
      call_method("getline", G_SCALAR);
      SPAGAIN;
      SV* piece = POPs;
      PUTBACK;
      more = SvOK(piece);
      if (more) send(piece);
      more = more && (!request_->finished() && request_->write({}));
      FREETMPS;
      LEAVE;
    }
    LEAVE;
  }
  call_close(handle);
}

void PsgiResponse::call_close(SV* handle) {
  dSP;
  ENTER;
  SAVETMPS;
  PUSHMARK(SP);
  XPUSHs(handle);
  PUTBACK;
  call_method("close", G_VOID | G_DISCARD);
  FREETMPS;
  LEAVE;
}

// ---- what applications call ----

void PsgiResponse::respond(PerlInterpreter* my_perl, CV* cv) {
  dXSARGS;
  PERL_UNUSED_VAR(cv);
  if (items != 1) Perl_croak(aTHX_ "A responder is given one response");
  if (current->request_ == nullptr) Perl_croak(aTHX_ "The request of this responder is over");
  SV* writer = current->answer(ST(0), true);
  if (writer == nullptr) XSRETURN_EMPTY;
  ST(0) = sv_2mortal(writer);
  XSRETURN(1);
}

void PsgiResponse::inform(PerlInterpreter* my_perl, CV* cv) {
  dXSARGS;
  PERL_UNUSED_VAR(cv);
  if (items != 2 || current->request_ == nullptr || current->responded_)
    Perl_croak(aTHX_ "psgix.informational is called as (status, headers), before the response");
  const IV number = SvIV(ST(0));
  if (number < 100 || number > 199 || number == 101)
    Perl_croak(aTHX_ "An informational response has a status from 102 to 199");
  current->make_head(ST(0), ST(1));
  current->request_->interim(current->head_);
  XSRETURN_EMPTY;
}

void PsgiResponse::check_writer(SV* writer) {
  if (!SvROK(writer) || request_ == nullptr || SvIV(SvRV(writer)) != serial_)
    Perl_croak(aTHX_ "The request of this writer is over");
  if (!writing_) Perl_croak(aTHX_ "This writer is closed");
}

void PsgiResponse::write(PerlInterpreter* my_perl, CV* cv) {
  dXSARGS;
  PERL_UNUSED_VAR(cv);
  if (items < 2) Perl_croak(aTHX_ "A writer writes a string");
  current->check_writer(ST(0));
  current->send(ST(1));
  if (!current->request_->flush()) Perl_croak(aTHX_ "The client has left");
  XSRETURN_YES;
}

void PsgiResponse::close(PerlInterpreter* my_perl, CV* cv) {
  dXSARGS;
  PERL_UNUSED_VAR(cv);
  if (items < 1) Perl_croak(aTHX_ "A writer is closed");
  current->check_writer(ST(0));
  current->writing_ = false;
  XSRETURN_EMPTY;
}

}  // namespace fivefold::perl
