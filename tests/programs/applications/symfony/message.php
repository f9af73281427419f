<?php
function message() { return 'Hello'; }
