#!/usr/bin/perl
# A CGI program in Perl: shows the environment that RFC 3875 section 4.1 promises it, and what came beside it.
use strict;
use warnings;

sub escape {
    my ($text) = @_;
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', "'" => '&#39;');
    $text =~ s/([&<>"'])/$entity{$1}/g;
    return $text;
}

binmode STDOUT;
print "Content-Type: text/html; charset=utf-8\r\n";
print "Cache-Control: no-store\r\n\r\n";
print <<'HTML';
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The environment of a CGI program</title>
<link rel="stylesheet" href="/style.css">
<main>
<p class="back"><a href="/">&larr; all examples</a></p>
<h1>The environment of a CGI program</h1>
<p>Request headers arrive as <code>HTTP_*</code>; a <code>Proxy:</code> header never becomes <code>HTTP_PROXY</code>,
and nothing of the server's own environment is inherited.</p>
<table>
HTML
for my $name (sort keys %ENV) {
    printf "<tr><th scope=\"row\">%s<td>%s\n", escape($name), escape($ENV{$name});
}
print "</table>\n</main>\n";
close STDOUT or die "The response could not be written: $!\n";
