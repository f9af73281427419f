<?php
header('Content-Type: text/plain');
echo 'Hello, ', ltrim($_SERVER['PATH_INFO'] ?? '/nobody', '/'), "\n";
