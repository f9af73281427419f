# A library without a package, as CGI scripts of old have them.
sub greet { return "hello $_[0] from " . ($0 =~ m{([^/]+)$})[0] }
sub shared_name { return $shared }
1;
