<?php
echo "I am by birth a Genevese ({$_GET['i']})";
